# frozen_string_literal: true

require 'test_helper'
require 'logger'
require 'stringio'

# What is said, where, and what is left alone.
class LogTest < DynoscaleTests::AgentTest
  def failing_service
    receiver.behave('status', status: 401)
  end

  def warn_of_something(**values)
    configure(publish_frequency: 'soon', **values)
  end

  def test_without_a_logger_warnings_go_to_stderr_and_nothing_else_does
    out, err = capture_io do
      warn_of_something(logger: nil)
      start_agent(logger: nil)
    end
    assert_equal '', out
    assert_equal ['WARN [dynoscale] publish_frequency is "soon", which is not a number from 1 to ' \
                  "3600: using 30 instead\n"], err.lines
  end

  def test_the_level_decides_what_is_logged
    assert_silent { warn_of_something(logger: nil, log_level: 'error') }
    _, err = capture_io { start_agent(logger: nil, log_level: 'info') }
    assert_match(/\AINFO \[dynoscale\] on: reports to \S+ as web\.1\n\z/, err)
    _, err = capture_io { configure(logger: nil, log_level: 'debug') }
    assert_match(/\AINFO \[dynoscale\] off: DYNOSCALE_URL is not set/, err)
  end

  def test_a_logger_is_used_and_left_as_it_is
    text = StringIO.new
    logger = Logger.new(text, level: Logger::DEBUG, progname: 'mine')
    warn_of_something(logger: logger)
    assert_match(/WARN -- mine: \[dynoscale\] publish_frequency/, text.string)
    assert_equal [Logger::DEBUG, 'mine', nil], [logger.level, logger.progname, logger.formatter]
  end

  def test_a_logger_that_raises_is_replaced_by_stderr
    broken = DynoscaleTests::RecordedLogger.new
    broken.define_singleton_method(:warn) { |_| raise 'full' }
    _, err = capture_io { warn_of_something(logger: broken) }
    assert_match(/\AWARN \[dynoscale\] publish_frequency/, err)
  end

  # As Timeout's with a class of the app's own, which comes while a logger waits for its file.
  def test_an_exception_from_another_thread_is_not_swallowed_with_the_loggers
    writing = Queue.new
    logger = Object.new
    %i[debug info error].each { |level| logger.define_singleton_method(level) { |_text| nil } }
    logger.define_singleton_method(:warn) do |_text|
      writing << true
      Thread.pass until Thread.current.pending_interrupt?
    end
    start_agent(logger: logger)
    request = Thread.new { DynoscaleRuby::Log.add(:warn, 'a line') }
    request.report_on_exception = false
    writing.pop
    request.raise(ArgumentError, 'too slow')
    assert_equal 'too slow', assert_raises(ArgumentError) { request.value }.message
  end

  def test_a_closed_stderr_stops_nothing
    result = DynoscaleTests::Script.ruby(<<~RUBY)
      $stderr.close
      DynoscaleRuby.configure { |c| c.publish_frequency = 'soon' }
      puts :on
    RUBY
    assert_equal "on\n", result.out
  end

  def test_events_of_the_thread_are_logged_at_the_next_request
    failing_service
    start_agent(publish_frequency: 1)
    request
    wait_until('the report failed') { stats[:reports_failed].positive? }
    middleware.call({})
    wait_until('a line') { middleware.call({}) && @logger.warnings.any? }
    assert_match(/\A\[dynoscale\] .*401/, @logger.warnings.first)
    refute_includes @logger.lines.inspect, name, 'the path is the token'
  end

  def test_a_logger_that_raises_in_a_request_does_not_reach_the_app
    failing_service
    broken = DynoscaleTests::RecordedLogger.new
    broken.define_singleton_method(:warn) { |text| (lines << text) && raise('full') }
    start_agent(publish_frequency: 1, logger: broken)
    request
    wait_until('the report failed') { stats[:reports_failed].positive? }
    capture_io do
      wait_until('a line') { request.equal?(DynoscaleTests::ANSWER) && broken.lines.any? }
    end
  end

  def test_nothing_is_said_for_a_request
    start_agent
    assert_silent { 100.times { request } && middleware.call({}) }
    configure
    assert_silent { 100.times { request } }
    assert_empty @logger.lines
  end

  # An event of the agent's thread has a limit in bytes: here it ends inside of a character.
  def test_a_line_that_is_cut_has_whole_characters_and_no_control_character
    %w[a ab].each do |name|
      env = DynoscaleTests::Script.environment(url, TMPDIR: "/#{name}#{'é' * 110}")
      result = DynoscaleTests::Script.ruby(<<~RUBY, env: env)
        DynoscaleRuby.start
        DynoscaleRuby::Agent.leads?
        _, text = DynoscaleRuby::Agent.next_event
        p [text.encoding, text.valid_encoding?]
      RUBY
      assert_equal "[#<Encoding:UTF-8>, true]\n", result.out
    end
    configure
    DynoscaleRuby::Log.failure('text', IOError.new("a\e[31mb\tc\u0007"))
    assert_equal '[dynoscale] text: IOError: a [31mb c', @logger.warnings.last.rstrip
  end
end
