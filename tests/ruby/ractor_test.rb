# frozen_string_literal: true

require 'test_helper'

# Ractors: an app may be built and served in any of them, several at the same moment.
class RactorTest < DynoscaleTests::AgentTest
  PRELUDE = <<~'RUBY'
    Warning[:experimental] = false
    def ractor(*given, &work) = Ractor.new(*given, &work)
    def result(ractor) = ractor.respond_to?(:value) ? ractor.value : ractor.take
    SERVE = proc do |requests|
      app = DynoscaleRuby::Middleware.new(->(_) { [200, {}, ['ok']] })
      start = (Process.clock_gettime(Process::CLOCK_REALTIME) * 1000).to_i.to_s
      filling = (1..20).to_h { |i| ["HTTP_X_#{i}", 'x'] }
      requests.times { |i| app.call(filling.merge('HTTP_X_REQUEST_START' => start)) }.to_s
    end
  RUBY

  def run_script(code)
    result = DynoscaleTests::Script.ruby(PRELUDE + code,
                                         env: DynoscaleTests::Script.environment(url))
    assert_equal ['', 0], [result.err, result.status.exitstatus], result.out
    result.out
  end

  def test_requests_in_four_ractors_at_once_are_all_reported
    run_script(<<~RUBY)
      ractors = Array.new(4) { ractor(1000, &SERVE) }
      SERVE.(1000)
      ractors.each { |one| result(one) }
    RUBY
    assert_equal 5000, receiver.rows.size
  end

  def test_an_app_that_lives_in_a_ractor_alone_is_reported_at_exit
    run_script('result(ractor(10, &SERVE))')
    assert_equal 10, receiver.rows.size
  end

  # There Ruby can load nothing more.
  def test_an_app_that_lives_in_a_ractor_alone_shows_the_queue_time
    env = DynoscaleTests::Script.environment(url, DYNOSCALE_SERVER_TIMING: 'on')
    out = DynoscaleTests::Script.ruby(<<~RUBY, env: env).out
      #{PRELUDE}
      puts result(ractor {
        start = (Process.clock_gettime(Process::CLOCK_REALTIME) * 1000).to_i.to_s
        answer = DynoscaleRuby::Middleware.new(->(_) { [200, {}, []] }).call({ 'HTTP_X_REQUEST_START' => start })
        [answer[1].to_s, DynoscaleRuby.log_events.inspect, DynoscaleRuby.flush(timeout: 10)]
      })
    RUBY
    assert_match(/server-timing.*queue;dur=\d+.*\nnil\ntrue\n/, out)
    assert_equal 1, receiver.rows.size
  end

  def test_stats_flush_stop_and_job_queue_time_work_in_a_ractor
    assert_equal "[true, true, 2, 2, true]\n", run_script(<<~RUBY)
      p result(ractor {
        start = (Process.clock_gettime(Process::CLOCK_REALTIME) * 1000).to_i.to_s
        DynoscaleRuby::Middleware.new(->(_) {}).call({ 'HTTP_X_REQUEST_START' => start })
        [DynoscaleRuby.job_queue_time('b', 'q', 1), DynoscaleRuby.flush(timeout: 10),
         DynoscaleRuby.stats[:recorded], DynoscaleRuby.stats[:sent], DynoscaleRuby.stop]
      })
    RUBY
    assert_equal 2, receiver.rows.size
  end

  def test_an_agent_that_a_ractor_uses_is_kept_and_that_is_said
    result = DynoscaleTests::Script.ruby(<<~RUBY, env: DynoscaleTests::Script.environment(url))
      #{PRELUDE}
      busy = ractor(100_000, &SERVE)
      20.times { DynoscaleRuby.configure { |c| c.publish_frequency = 7 } }
      result(busy)
      DynoscaleRuby.configure { |c| c.publish_frequency = 8 }
      p DynoscaleRuby.stats[:publish_frequency_ms]
      DynoscaleRuby.stop(timeout: 0)
    RUBY
    assert_match(/in use by a Ractor and keeps the settings that it has\n/, result.err)
    assert_includes %W[7000\n 30000\n], result.out
  end

  # Each function that reads the agent, alone in its process.
  %w[leads? watch_leader stats flush(0) job_queue_time("b","q",1)].each do |call|
    define_method(:"test_an_agent_that_a_ractor_uses_by_#{call[/\w+/]}_is_not_freed") do
      assert_equal "false\n", run_script(<<~RUBY)
        DynoscaleRuby.start
        result(ractor { DynoscaleRuby::Agent.#{call}; nil })
        p DynoscaleRuby::Agent.close
        DynoscaleRuby.stop(timeout: 0)
      RUBY
    end
  end

  def test_a_ractor_can_not_free_the_agent
    assert_equal "false\n", run_script(<<~RUBY)
      DynoscaleRuby.start
      p result(ractor { DynoscaleRuby::Agent.close })
    RUBY
  end

  def test_a_middleware_is_not_shared_between_ractors
    refute Ractor.shareable?(DynoscaleRuby::Middleware.new(nil).freeze)
  end
end
