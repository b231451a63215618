# frozen_string_literal: true

require 'test_helper'
require 'tmpdir'

# Exit, fork and all that: each in a process of its own, the rows counted at the receiver.
class ProcessTest < DynoscaleTests::AgentTest
  LINUX = File.directory?('/proc/self/task')

  # Runs a script whose environment turns the agent on; it must end well and without a word.
  def run_script(code, **environment)
    result = script(code, **environment)
    assert_equal ['', 0], [result.err, result.status.exitstatus], result.out
    result.out
  end

  def script(code, **environment)
    DynoscaleTests::Script.ruby(code, env: DynoscaleTests::Script.environment(url, **environment))
  end

  # The rows by what they were recorded as: request(1_000), request(5_000), ... ; see `kind`.
  def rows_by_kind
    metrics.map { |metric| kind(metric) }.tally
  end

  # A request of N thousand ms is one of kind N, as long as the machine is not slower than that.
  def kind(metric)
    metric / 1000
  end

  def test_requests_that_yjit_compiled_are_recorded_too
    code = '2000.times { request }; print RubyVM::YJIT.enabled?'
    result = script(code, RUBYOPT: '--yjit')
    skip 'this Ruby was built without YJIT' if result.err.match?(/YJIT|invalid switch/)
    assert_equal ['', 'true', 2000], [result.err, result.out, receiver.rows.size]
  end

  # ---- Loading

  def test_a_process_that_only_loads_the_gem_loads_what_a_request_needs
    loaded = "puts $LOADED_FEATURES.grep(%r{/dynoscale_ruby/.*\\.rb}).map { |path| File.basename(path) }.sort\n"
    few = %w[middleware.rb rack.rb server_timing.rb version.rb]
    assert_equal few, run_script(loaded).split
    assert_equal [*few, 'body_waits.rb', 'jobs.rb', 'log.rb', 'servers.rb', 'settings.rb'].sort,
                 run_script("middleware\n#{loaded}").split
  end

  def test_a_signals_handler_may_be_the_first_to_call_anything
    out = run_script(<<~RUBY)
      given = Queue.new
      trap(:USR1) do
        DynoscaleRuby.log_events
        p DynoscaleRuby.flush, DynoscaleRuby.stop, DynoscaleRuby.stats.fetch(:recorded)
        DynoscaleRuby.configure { |c| given << (c.publish_frequency = 7) }
      end
      Process.kill(:USR1, $$)
      given.pop
      Thread.pass until DynoscaleRuby.settings.publish_frequency == 7
    RUBY
    assert_equal "true\ntrue\n0\n", out
  end

  # ---- Exit

  def test_samples_are_sent_at_exit
    run_script('7.times { request }')
    assert_equal 7, receiver.rows.size
  end

  def test_at_exit_by_an_exception_an_abort_and_a_signal_too
    assert_equal 1, script('request; raise "mine"').status.exitstatus
    assert_equal 5, script('request; exit 5').status.exitstatus
    assert_equal 1, script('request; abort').status.exitstatus
    assert_equal Signal.list['TERM'],
                 script('request; Process.kill(:TERM, $$); sleep').status.termsig
    assert_equal 4, receiver.rows.size
  end

  def test_a_server_that_runs_in_an_at_exit_block_is_measured_to_its_end
    DynoscaleTests::Script.command(
      RbConfig.ruby, "-I#{DynoscaleTests::Script::LIBRARY}", '-e', <<~RUBY,
        at_exit { load #{DynoscaleTests::Script::PRELUDE.inspect}; 3.times { request } }
        require 'dynoscale_ruby'
        DynoscaleRuby.configure { |c| c.app_name = 'classic' }
      RUBY
      env: DynoscaleTests::Script.environment(url)
    )
    assert_equal 3, receiver.rows.size
  end

  # The server, which is Sinatra's in its classic style, serves for longer than an exit may take.
  def test_a_server_in_an_at_exit_block_that_runs_after_the_agents_own_is_measured_to_its_end
    run_script(<<~RUBY)
      at_exit do
        3.times { request(1_000) }
        sleep 2.5
        4.times { request(5_000) }
      end
      middleware
    RUBY
    assert_equal({ 1 => 3, 5 => 4 }, rows_by_kind)
  end

  def test_a_child_that_such_a_server_forks_is_measured_to_its_end
    run_script(<<~RUBY)
      at_exit { Process.wait(fork { request(5_000) }) }
      middleware
    RUBY
    assert_equal({ 5 => 1 }, rows_by_kind)
  end

  # The service answers so late that the further signals come while the report is on its way.
  def test_signals_during_the_exit_lose_nothing_and_are_heeded
    receiver.behave('ok', delay: 0.3)
    { '' => 'TERM', 'trap(:TERM) { exit 7 };' => 7, 'trap(:TERM) { raise SignalException, "INT" };' => 'INT' }
      .each_with_index do |(handler, ending), i|
        status = script(<<~RUBY).status
          request(#{i * 1_000})
          #{handler}
          fork { 4.times { sleep 0.05; Process.kill(:TERM, Process.ppid) }; exit! }
          sleep
        RUBY
        assert_equal Signal.list.fetch(ending, ending), status.termsig || status.exitstatus
      end
    assert_equal({ 0 => 1, 1 => 1, 2 => 1 }, rows_by_kind)
  end

  def test_a_signals_handler_runs_while_the_exit_waits
    receiver.behave('ok', delay: 0.3)
    out = run_script(<<~RUBY)
      request
      trap(:USR1) { $stdout.write('heard '); $stdout.flush }
      fork { sleep 0.1; Process.kill(:USR1, Process.ppid); exit! }
    RUBY
    assert_equal 'heard ', out
    assert_equal 1, receiver.rows.size
  end

  def test_a_service_that_hangs_does_not_delay_an_exit_by_several_signals
    receiver.behave('stall')
    result = script(<<~RUBY)
      request
      fork { 30.times { sleep 0.05; Process.kill(:TERM, Process.ppid) }; exit! }
      sleep
    RUBY
    assert_equal Signal.list['TERM'], result.status.termsig
  end

  # Of each server, the class whose methods end a process by exit!, in its instances or itself.
  SERVERS = {
    'Unicorn::HttpServer' => '.new', 'Pitchfork::HttpServer' => '.new', 'Puma::Runner' => '.new',
    'Thin::Server' => '.new', 'Async::Container::Process' => '', 'Async::Container::Forked::Child' => ''
  }.freeze

  def test_servers_that_end_a_process_at_once_lose_nothing
    SERVERS.each_with_index do |(name, object), i|
      outer = name.split('::')[0..-2].each_with_index.map { |_, n| name.split('::')[0..n].join('::') }
      result = script(<<~RUBY)
        #{outer.map { |one| "module #{one}; end" }.join("\n")}
        class #{name}
          def leave = exit!(3)
          def self.leave = exit!(3)
        end
        request(#{i * 2_000})
        #{name}#{object}.leave
      RUBY
      assert_equal ['', 3], [result.err, result.status.exitstatus], name
    end
    assert_equal SERVERS.size, receiver.rows.size, rows_by_kind.inspect
  end

  def test_a_service_that_hangs_does_not_hold_up_the_exit
    receiver.behave('stall')
    result = script('request; DynoscaleRuby.configure { |c| c.log_level = :info }; puts :over')
    assert_equal ["over\n", 0], [result.out, result.status.exitstatus]
  end

  def test_samples_dropped_at_exit_are_logged
    receiver.behave('status', status: 403)
    result = script('request')
    assert_match(/\AWARN \[dynoscale\] .*403/, result.err)
    assert_equal 0, result.status.exitstatus
  end

  def test_requests_of_other_threads_during_the_exit_break_nothing
    run_script('4.times { Thread.new { loop { request && sleep(0.001) } } }; request; Thread.pass')
    refute_empty receiver.rows
  end

  def test_samples_from_before_configure_are_sent_at_exit
    run_script('7.times { request }; DynoscaleRuby.configure { |c| c.url = nil; c.skip = true }')
    assert_equal 7, receiver.rows.size
  end

  def test_stop_before_the_exit_is_enough
    run_script('request; DynoscaleRuby.stop(timeout: 10) or abort; DynoscaleRuby.stop')
    assert_equal 1, receiver.rows.size
  end

  # ---- Nothing is started without need

  def test_requiring_and_configuring_starts_no_thread_and_loads_no_curl
    skip 'reads /proc' unless LINUX
    code = <<~'RUBY'
      def state
        names = Dir['/proc/self/task/*/comm'].map { |file| File.read(file).chomp }
        [names.count('dynoscale'), File.read('/proc/self/maps').include?('libcurl')]
      end
      middleware.call({})
      DynoscaleRuby.flush
      p state
      request
      DynoscaleRuby.flush
      p state
    RUBY
    assert_equal "[0, false]\n[1, true]\n", run_script(code)
  end

  def test_rubys_own_threads_signals_and_output_are_as_they_were
    assert_equal "[1, \"DEFAULT\", \"DEFAULT\"]\n", run_script(<<~RUBY)
      request
      DynoscaleRuby.flush(timeout: 10) or abort
      p [Thread.list.size, trap(:TERM, 'DEFAULT'), trap(:USR1, 'DEFAULT')]
    RUBY
  end

  # Ruby starts a thread for the interrupt of a wait unless it is told that any thread may call it.
  def test_waiting_starts_no_thread_of_rubys
    assert_equal '0', run_script(<<~RUBY)
      begun = 0
      TracePoint.new(:thread_begin) { begun += 1 }.enable
      request
      DynoscaleRuby.flush(timeout: 10) or abort
      DynoscaleRuby.stop(timeout: 10) or abort
      print begun
    RUBY
  end

  def test_an_interrupt_ends_flush_where_there_is_no_other_thread
    receiver.behave('stall')
    Dir.mktmpdir do |directory|
      file = "#{directory}/pid"
      interrupted = Thread.new { script(<<~RUBY) }
        File.write(#{file.inspect}, $$)
        request
        begin
          DynoscaleRuby.flush(timeout: 50)
        rescue Interrupt
          print 'interrupted'
          $stdout.flush
          exit!
        end
      RUBY
      receiver.wait(reports: 1) # sent by flush, which waits for the answer
      Process.kill(:INT, Integer(File.read(file)))
      assert_equal 'interrupted', interrupted.value.out
    end
  end

  # ---- Off

  {
    'no URL' => { DYNOSCALE_URL: '' },
    'no dyno' => { DYNO: '' },
    'a one-off dyno' => { DYNO: 'run.1234' },
    'a release dyno' => { DYNO: 'release.1' },
    'the scheduler' => { DYNO: 'scheduler.1' },
    'the second dyno' => { DYNO: 'web.2' },
    'being skipped' => { SKIP_DYNOSCALE_AGENT: '1' },
    'a URL that is none' => { DYNOSCALE_URL: 'nonsense' }
  }.each do |why, environment|
    define_method(:"test_with_#{why.tr(' ', '_')}_nothing_is_started_and_requests_say_nothing") do
      skip 'reads /proc' unless LINUX
      result = script(<<~RUBY, **environment)
        100.times { request }
        names = Dir['/proc/self/task/*/comm'].map { |file| File.read(file).chomp }
        print names.count('dynoscale'), DynoscaleRuby.stats.values.sum
      RUBY
      assert_equal '00', result.out, 'no thread of ours, nothing counted'
      mistake = ['a URL that is none', 'no dyno'].include?(why)
      assert_equal mistake ? 1 : 0, result.err.lines.size, result.err
      assert_equal 0, receiver.wait['reports']
    end
  end

  def test_skip_that_is_off_and_all_dynos_report
    run_script('request', SKIP_DYNOSCALE_AGENT: 'false')
    run_script('request', DYNO: 'web.2', DYNOSCALE_DYNOS: 'all')
    assert_equal 2, receiver.rows.size
  end

  # ---- Fork

  def test_parent_and_child_each_send_their_own_and_nothing_twice
    run_script(<<~RUBY)
      3.times { request(1_000) }
      fork { 2.times { request(5_000) } }
      Process.wait
      request(1_000)
    RUBY
    assert_equal({ 1 => 4, 5 => 2 }, rows_by_kind)
  end

  def test_a_child_that_records_nothing_sends_nothing
    run_script('2.times { request(1_000) }; 3.times { fork { } }; Process.waitall')
    assert_equal({ 1 => 2 }, rows_by_kind)
  end

  def test_an_app_that_was_built_before_the_fork_reports_from_every_child
    run_script(<<~RUBY)
      middleware
      4.times { |i| fork { 25.times { request(i * 3_000) } } }
      Process.waitall.all? { |_, status| status.success? } or abort
    RUBY
    assert_equal({ 0 => 25, 3 => 25, 6 => 25, 9 => 25 }, rows_by_kind)
  end

  def test_a_child_of_a_parent_that_has_reported_already_reports_too
    run_script(<<~RUBY)
      request(1_000)
      DynoscaleRuby.flush(timeout: 10) or abort
      fork { request(5_000); fork { request(9_000) }; Process.wait }
      Process.wait
    RUBY
    assert_equal({ 1 => 1, 5 => 1, 9 => 1 }, rows_by_kind)
  end

  def test_a_child_starts_with_stats_of_zero
    assert_equal "[0, 0, 1]\n", run_script(<<~RUBY)
      request; middleware.call({})
      fork do
        before = DynoscaleRuby.stats
        request
        p [before[:recorded], before[:stamp_missing], DynoscaleRuby.stats[:recorded]]
      end
      Process.wait
    RUBY
  end

  def test_a_child_of_a_thread_reports
    run_script(<<~RUBY)
      Thread.new { request(1_000); fork { request(5_000) }; Process.wait }.join
    RUBY
    assert_equal({ 1 => 1, 5 => 1 }, rows_by_kind)
  end

  def test_a_child_forked_while_others_record_and_flush_reports
    run_script(<<~RUBY, DYNOSCALE_LOG_LEVEL: 'error')
      request(1_000)
      DynoscaleRuby.flush(timeout: 10) or abort
      4.times { Thread.new { loop { request(1_000) && sleep(0.001) } } }
      2.times { Thread.new { loop { DynoscaleRuby.flush } } }
      20.times { fork { request(5_000); DynoscaleRuby.flush(timeout: 20) or exit! 1 } }
      Process.waitall.all? { |_, status| status.success? } or abort
    RUBY
    assert_equal 20, rows_by_kind[5]
  end

  def test_a_child_that_exits_without_its_handlers_takes_nothing_of_its_parents
    run_script('request(1_000); fork { request(5_000); exit! }; Process.wait')
    assert_equal 1, rows_by_kind[1]
  end

  def test_a_child_can_be_configured_again
    run_script(<<~RUBY)
      request(1_000)
      fork { DynoscaleRuby.configure { |c| c.app_name = 'child' }; request(5_000) }
      Process.wait
    RUBY
    assert_equal({ 1 => 1, 5 => 1 }, rows_by_kind)
    assert_includes receiver.reports.map { |report| report['headers']['x_app_name'] }, 'child'
  end

  def test_a_stopped_parents_child_starts_afresh
    run_script('DynoscaleRuby.stop; request(1_000); fork { request(5_000) }; Process.wait')
    run_script('request(2_000); DynoscaleRuby.stop; fork { request(6_000) }; Process.wait')
    assert_equal({ 1 => 1, 5 => 1, 2 => 1, 6 => 1 }, rows_by_kind)
  end

  def test_backticks_system_spawn_and_popen_neither_lose_nor_repeat_anything
    run_script(<<~'RUBY')
      request(1_000)
      10.times do
        `true`
        system('true') or abort
        Process.wait spawn('true')
        IO.popen(['true'], &:read)
        request(1_000)
      end
    RUBY
    assert_equal({ 1 => 11 }, rows_by_kind)
  end

  def test_exec_takes_nothing_along
    run_script("request(1_000); fork { request(5_000); exec('true') }; Process.wait")
    assert_equal 1, rows_by_kind[1]
  end

  def test_a_daemon_reports
    run_script(<<~RUBY)
      middleware
      Process.daemon
      3.times { request(1_000) }
    RUBY
    receiver.wait(rows: 3)
    assert_equal({ 1 => 3 }, rows_by_kind)
  end

  # ---- At rest

  # The child looks at itself: elsewhere /proc may have it under another number.
  SWITCHES = <<~'RUBY'
    request
    DynoscaleRuby.flush(timeout: 10) or abort
    $stdout.sync = true
    while $stdin.gets
      thread = Dir['/proc/self/task/*'].find { |task| File.read("#{task}/comm") == "dynoscale\n" }
      puts File.read("#{thread}/status").scan(/_ctxt_switches:\s+(\d+)/).flatten.sum(&:to_i)
    end
  RUBY

  def test_an_idle_processes_thread_is_not_woken
    skip "needs Linux's /proc/self/task" unless LINUX
    start_agent(publish_frequency: 1)
    counts = with_idle_child do |child|
      [2, 3].map do |rows| # the time that this process's reports take
        request
        receiver.wait(rows: rows)
        child.puts
        Integer(child.gets)
      end
    end
    assert_equal(*counts)
  end

  def with_idle_child
    script = DynoscaleTests::Script
    command = [RbConfig.ruby, "-I#{script::LIBRARY}", "-r#{script::PRELUDE}", '-e', SWITCHES]
    IO.popen([script.environment("#{url}/idle"), *command], 'r+') do |child|
      receiver.wait(rows: 1)
      yield child
    end
  end
end
