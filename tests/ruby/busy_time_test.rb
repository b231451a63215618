# frozen_string_literal: true

require 'test_helper'

# The time that requests spend in the app, if the service asks for it: each ms once, whatever returns,
# raises, forks or runs at once. Bounds are what the apps and their callers measured.
class BusyTimeTest < DynoscaleTests::AgentTest
  PRELUDE = <<~'RUBY'
    Warning[:experimental] = false
    require 'dynoscale_ruby/middleware'
    def now = Process.clock_gettime(Process::CLOCK_REALTIME)
    # Once the service has said what it asks for.
    def learn
      DynoscaleRuby.job_queue_time('backend', 'queue', 1)
      abort 'no answer' unless DynoscaleRuby.flush(timeout: 60) && DynoscaleRuby::Agent.asked.first == ['busy']
    end
    # Calls an app that sleeps so many times; [seconds in it, seconds around it].
    SERVE = proc do |requests, seconds|
      inside = around = 0.0
      app = DynoscaleRuby::Middleware.new(lambda do |_|
        before = Process.clock_gettime(Process::CLOCK_REALTIME)
        sleep seconds
        inside += Process.clock_gettime(Process::CLOCK_REALTIME) - before
        [200, {}, []]
      end)
      requests.times do
        before = Process.clock_gettime(Process::CLOCK_REALTIME)
        app.call({ 'HTTP_X_REQUEST_START' => (before * 1000).to_i.to_s })
        around += Process.clock_gettime(Process::CLOCK_REALTIME) - before
      end
      [inside, around]
    end
    def tell(*pairs) = puts(pairs.transpose.map(&:sum).join(' '))
  RUBY

  def setup
    super
    receiver.behave('ok', publish_frequency: 3600, signals: ['busy'])
  end

  # Less than a ms of a process is not reported.
  def assert_reported_once(code, processes: 1)
    result = DynoscaleTests::Script.ruby(PRELUDE + code, env: DynoscaleTests::Script.environment(url))
    assert_equal ['', 0], [result.err, result.status.exitstatus], result.out
    inside, around = result.out.split.map { |seconds| seconds.to_f * 1000 }
    busy = receiver.rows.select { |row| row['metadata'] == 'busy' }.sum { |row| row['metric'] }
    assert_includes (inside - 1 - processes)..(around + 1), busy
  end

  def test_requests_count_until_the_app_returns_or_raises
    assert_reported_once(<<~RUBY)
      DynoscaleRuby::Middleware.new(->(_) {})
      learn
      raised = [0.0, 0.0]
      app = DynoscaleRuby::Middleware.new(->(_) { sleep 0.05; raise KeyError })
      before = now
      begin
        app.call({})
      rescue KeyError
        raised = [0.05, now - before]
      end
      tell(SERVE.(3, 0.03), raised)
    RUBY
  end

  def test_threads_are_summed
    assert_reported_once(<<~RUBY)
      SERVE.(0, 0)
      learn
      tell(*Array.new(8) { Thread.new { SERVE.(10, 0.02) } }.map(&:value))
    RUBY
  end

  def test_ractors_are_summed
    assert_reported_once(<<~RUBY)
      SERVE.(0, 0)
      learn
      ractors = Array.new(4) { Ractor.new(10, 0.02, &SERVE) }
      mine = SERVE.(10, 0.02)
      tell(mine, *ractors.map { |one| one.respond_to?(:value) ? one.value : one.take })
    RUBY
  end

  # Of two requests that are in the app one forks. The child returns through the same middleware, serves
  # two more requests and exits.
  def test_no_time_counts_twice_after_a_fork_and_none_is_lost
    assert_reported_once(<<~RUBY, processes: 2)
      inside, around = [], []
      app = DynoscaleRuby::Middleware.new(->(env) { env['work'].call })
      serve = lambda do |work|
        before = now
        app.call({ 'HTTP_X_REQUEST_START' => (before * 1000).to_i.to_s, 'work' => work }).tap { around << (now - before) }
      end
      learn
      finish = Queue.new
      other = Thread.new { serve.(lambda { before = now; finish.pop; inside << (now - before) }) }
      sleep 0.01 until other.stop?
      reader, writer = IO.pipe
      forking = lambda do
        before = now
        fork.tap do |pid|
          learn unless pid # the child's agent works before the request leaves
          sleep 0.05
          inside << (now - before)
        end
      end
      pid = serve.(forking)
      if pid.nil?
        inside.clear
        around.clear
        2.times { serve.(lambda { before = now; sleep 0.05; inside << (now - before) }) }
        writer.puts "\#{inside.sum} \#{around.sum}"
        exit
      end
      writer.close
      childs = reader.read.split.map(&:to_f)
      Process.wait(pid)
      finish << true
      other.join
      tell([inside.sum, around.sum], childs)
    RUBY
  end
end
