# frozen_string_literal: true

require 'test_helper'
require 'support/raw_service'
require 'support/vectors'

# tests/vectors/queue_time.tsv, through the middleware.
class QueueTimeVectorsTest < DynoscaleTests::AgentTest
  Vectors = DynoscaleTests::Vectors
  CASES = Vectors.queue_time
  USABLE = CASES.select { |row| row.where == 'all' }

  USABLE.each do |row|
    define_method("test_#{row.name}_is_#{row.expected}") do
      start_agent
      env = {
        'HTTP_X_REQUEST_START' => Vectors.header(row.start),
        'HTTP_X_QUEUE_START' => Vectors.header(row.queue_start),
        'puma.request_body_wait' => Vectors.body_wait(row.body_wait)
      }.compact
      middleware.call(env)
      if row.expected.match?(/\A\d+\z/)
        expect_row(row.expected.to_i)
      else
        assert_equal row.expected.to_sym, outcome
      end
    end
  end

  def test_cases_for_the_c_suite_alone_are_few
    assert_operator USABLE.size, :>=, 80
    skip "#{CASES.size - USABLE.size} of #{CASES.size} cases need a clock that stands still"
  end

  private

  # The clock has gone on since the stamp was made.
  def expect_row(expected)
    assert_equal :recorded, outcome
    assert_flushed
    assert_equal 1, metrics.size
    assert_includes expected..(expected + 2000), metrics.first
  end
end

# tests/vectors/answers.tsv, each as the answer to a report.
class AnswerVectorsTest < DynoscaleTests::AgentTest
  BEFORE_MS = 77_000

  def setup
    super
    @service = DynoscaleTests::RawService.new
  end

  def teardown
    super
    @service.stop
  end

  def asked
    signals, jobs, heartbeat_ms = DynoscaleRuby::Agent.asked
    parts = [signals.join('+'), ('no_jobs' unless jobs), ("heartbeat=#{heartbeat_ms}" if heartbeat_ms.positive?)]
    text = parts.compact.reject(&:empty?).join(' ')
    text.empty? ? 'nothing' : text
  end

  DynoscaleTests::Vectors.answers.each do |row|
    expected = row.expected == 'unchanged' ? BEFORE_MS : row.expected.to_i
    define_method("test_#{row.name}_gives_#{row.expected}") do
      configure(url: @service.url, dyno: 'web.1', publish_frequency: BEFORE_MS / 1000)
      @service.body = row.body
      request
      assert_flushed
      assert_equal expected, stats[:publish_frequency_ms]
      assert_equal row.asked, asked
    end
  end
end
