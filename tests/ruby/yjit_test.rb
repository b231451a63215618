# frozen_string_literal: true

require 'test_helper'

# YJIT compiles the middleware and what calls it: from the first call on in these tests.
class YjitTest < DynoscaleTests::AgentTest
  OPTIONS = %w[--yjit --yjit-call-threshold=1].freeze

  def setup
    super
    code = 'exit RubyVM::YJIT.enabled?'
    skip "#{RbConfig.ruby} has no YJIT" unless
      system(RbConfig.ruby, *OPTIONS, '-e', code, err: File::NULL, out: File::NULL)
  end

  def test_the_tests_of_requests_pass_with_it
    result = DynoscaleTests::Script.tests(%w[middleware counted_once queue_time_shown vectors], *OPTIONS,
                                          code: 'warn RubyVM::YJIT.enabled?')
    assert_predicate result.status, :success?, result.out + result.err
    assert_match(/\Atrue\n/, result.err)
    assert_match(/^\d\d+ runs, \d+ assertions, 0 failures, 0 errors/, result.out)
  end

  def test_every_request_of_a_hot_app_is_reported_forks_and_all
    result = DynoscaleTests::Script.command(
      RbConfig.ruby, *OPTIONS, "-I#{DynoscaleTests::Script::LIBRARY}",
      "-r#{DynoscaleTests::Script::PRELUDE}", '-e', <<~RUBY, env: DynoscaleTests::Script.environment(url)
        2000.times { request }
        Process.wait(fork { 1000.times { request } })
        Array.new(4) { Thread.new { 500.times { request } } }.each(&:join)
      RUBY
    )
    assert_equal ['', 0], [result.err, result.status.exitstatus]
    assert_equal 5000, receiver.rows.size
  end
end
