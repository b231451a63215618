# frozen_string_literal: true

require_relative 'test_helper'

# What holds for every backend, shown with Debian's Sidekiq.
class LifecycleTest < JobTests::Case
  LOAD = <<~RUBY
    require 'sidekiq'
    require 'dynoscale_ruby/middleware'
    Sidekiq.logger.level = 4
    LINES = []
    LOGGER = Object.new
    %i[debug info warn error].each do |level|
      LOGGER.define_singleton_method(level) { |text| LINES << text if level == :warn }
    end
    DynoscaleRuby.configure { |c| c.logger = LOGGER }
    def threads = Thread.list.count { |thread| thread.name == 'dynoscale-jobs' && thread.alive? }
    def put(queue, seconds_ago)
      job = { 'class' => 'Work', 'args' => [], 'jid' => 'a', 'enqueued_at' => Time.now.to_f - seconds_ago }
      Sidekiq.redis do |redis|
        redis.sadd('queues', [queue])
        redis.lpush("queue:\#{queue}", JSON.generate(job))
      end
    end
    def serve = ($served ||= DynoscaleRuby::Middleware.new(->(_env) { [200, {}, []] })) && nil
  RUBY

  def setup
    super
    redis.call('FLUSHALL')
  end

  def gems
    JobTests::Gems.debian(self, 'sidekiq', '>= 6.4')
  end

  # Its connection can be replaced while it runs.
  def need_sidekiq6
    JobTests::Gems.debian(self, 'sidekiq', '~> 6.4')
  end

  def process(port: redis.port, code: LOAD, **settings)
    child(code, env: gems.merge('REDIS_URL' => redis.url(port), **reporting(**settings)))
  end

  # Like `process`, but does not clear the receiver.
  def another
    child(LOAD, env: gems.merge('REDIS_URL' => redis.url, 'DYNO' => 'worker.1',
                                'DYNOSCALE_PUBLISH_FREQUENCY' => '1',
                                'DYNOSCALE_URL' => "#{receiver.url}/#{self.class}/#{name}"))
  end

  def recorded(child)
    child.run('DynoscaleRuby.stats[:recorded]')
  end

  # ---- Where it runs, and how long ----

  def test_a_process_that_neither_serves_nor_works_has_no_thread
    child = process
    child.run("put('default', 9)")
    assert_equal 0, child.run('threads')
    assert_equal 0, recorded(child)
  end

  def test_a_web_process_has_one_thread_without_any_traffic
    child = process(DYNO: 'web.1')
    child.run("put('default', 90); serve")
    wait_until('a report') { reported['sidekiq:default'] }
    assert_age 90_000, reported['sidekiq:default']
    assert_equal 1, child.run('3.times { DynoscaleRuby::Middleware.new(nil) }; threads')
  end

  def test_without_a_backend_there_is_no_thread
    child = process(code: LOAD.sub("require 'sidekiq'\n", '').sub(/^Sidekiq.*/, ''))
    assert_equal 0, child.run('serve; threads')
  end

  def test_it_is_off_if_set_so_or_if_the_agent_is_off
    { DYNOSCALE_JOBS: 'off', DYNOSCALE_URL: '', SKIP_DYNOSCALE_AGENT: '1', DYNO: 'run.1' }
      .each do |name, value|
        child = process(name => value)
        assert_equal 0, child.run('serve; threads'), name
      end
  end

  def test_settings_in_code_turn_it_off_and_on
    child = process
    assert_equal 0, child.run('DynoscaleRuby.configure { |c| c.jobs = false }; serve; threads')
    assert_equal 1, child.run('DynoscaleRuby.configure { |c| c.jobs = true }; threads')
    child.run('DynoscaleRuby.configure { |c| c.jobs = false }')
    wait_until('the thread ends') { child.run('threads').zero? }
  end

  def test_it_stops_with_the_agent
    child = process
    assert_equal 1, child.run('serve; threads')
    child.run('DynoscaleRuby.stop')
    wait_until('the thread ends') { child.run('threads').zero? }
    assert_equal 1, child.run('DynoscaleRuby.configure; threads')
  end

  COUNT_READS = <<~RUBY
    READS = []
    DynoscaleRuby::Jobs::Sidekiq.prepend(Module.new { def queues(*) = (READS << 1) && super })
  RUBY

  def test_once_stopped_or_turned_off_it_reads_nothing_whatever_is_made
    ['DynoscaleRuby.stop', 'DynoscaleRuby.configure { |c| c.jobs = false }'].each do |ending|
      child = process
      child.run("#{COUNT_READS}; serve")
      wait_until('a reading') { child.run('READS.any?') }
      child.run(ending)
      wait_until('the thread ends') { child.run('threads').zero? }
      reads = child.run('READS.size')
      assert_equal 0, child.run('DynoscaleRuby::Middleware.new(nil); threads'), ending
      three_readings_of_another_app
      assert_equal reads, child.run('READS.size'), ending
    end
  end

  # Takes at least two intervals.
  def three_readings_of_another_app
    other = another
    other.run("#{COUNT_READS}; DynoscaleRuby.configure { |c| c.url += '/other' }; serve")
    wait_until('three readings') { other.run('READS.size') >= 3 }
    other.kill
  end

  def test_a_process_ends_by_itself
    env = gems.merge(reporting, 'REDIS_URL' => redis.url)
    result = DynoscaleTests::Script.ruby("#{LOAD}\nserve\nputs threads\n", env: env)
    assert_predicate result.status, :success?, result.inspect
    assert_equal "1\n", result.out
    refute_match(/dynoscale/i, result.err)
  end

  def test_consoles_and_rake_tasks_have_no_thread
    %w[irb pry console rake].each do |program|
      child = process
      assert_equal 0, child.run("$PROGRAM_NAME = '/usr/bin/#{program}'; serve; threads"), program
    end
  end

  # ---- Once a dyno ----

  # A process that reads.
  def process_that_reads
    process.tap do |first|
      first.run("put('default', 90); serve")
      wait_until('the first reads') { recorded(first).positive? }
    end
  end

  def test_one_process_of_a_dyno_reads_and_when_it_dies_another_does
    first = process_that_reads
    second = another
    second.run('serve')
    asked = recorded(first)
    wait_until('two intervals') { recorded(first) >= asked + 2 }
    assert_equal 0, recorded(second)
    first.kill(:KILL)
    wait_until('the second reads') { recorded(second).positive? }
  end

  # The number of times that its thread was woken.
  def wakes(child)
    tasks = Dir["/proc/#{child.pid}/task/*"].select { |task| File.read("#{task}/comm") == "dynoscale-jobs\n" }
    assert_equal 1, tasks.size
    File.read("#{tasks.first}/status").scan(/ctxt_switches:\s*(\d+)/).flatten.sum(&:to_i)
  end

  # Wakes of a process during three intervals of the leader.
  def wakes_in_three_intervals(child, leader)
    asked = recorded(leader)
    before = wakes(child)
    wait_until('three intervals') { recorded(leader) >= asked + 3 }
    wakes(child) - before
  end

  def test_those_that_do_not_lead_are_not_woken_before_the_leader_has_ended
    skip 'needs Linux 5.3' unless RUBY_PLATFORM.include?('linux')
    first = process_that_reads
    second = another
    second.run('serve')
    wait_until('the second sleeps', seconds: 60) { wakes_in_three_intervals(second, first).zero? }
    second.run('DynoscaleRuby.configure { |c| c.publish_frequency = 3600 }')
    first.kill(:KILL)
    wait_until('the second reads') { recorded(second).positive? }
  end

  # Counts both ways to find out who leads.
  COUNT_QUESTIONS = <<~RUBY
    LEADS = []
    WATCHES = []
    DynoscaleRuby::Agent.singleton_class.prepend(Module.new do
      def leads?(*) = (LEADS << 1) && super
      def watch_leader(*) = (WATCHES << 1) && super
    end)
  RUBY

  # As on Linux before 5.3 and on other systems.
  def test_without_a_signal_of_a_leaders_end_a_waiting_process_asks_once_an_interval
    first = process_that_reads
    second = another
    second.run("#{COUNT_QUESTIONS.sub(/def watch_leader.*/, 'def watch_leader(*) = nil')}; serve")
    wait_until('it asks') { second.run('LEADS.size') >= 2 }
    asked = second.run('LEADS.size')
    read = recorded(first)
    wait_until('five readings') { recorded(first) >= read + 5 }
    assert_includes 1..10, second.run('LEADS.size') - asked
    assert_equal 0, recorded(second)
    first.kill(:KILL)
    wait_until('the second reads') { recorded(second).positive? }
  end

  # The system only reports the end of a process.
  def test_one_that_waits_asks_again_in_case_the_leader_has_stopped_and_lives_on
    first = process_that_reads
    second = another
    second.run("#{COUNT_QUESTIONS}
                READER = DynoscaleRuby::Jobs::Reader
                READER.send(:remove_const, :LONGEST_WAIT)
                READER.const_set(:LONGEST_WAIT, 1)
                serve")
    wait_until('it waits') { second.run('WATCHES.any?') }
    first.run('DynoscaleRuby.stop')
    wait_until('the second reads') { recorded(second).positive? }
    assert first.run('true')
  end

  # As when the app closes all descriptors.
  def test_one_that_waits_goes_on_where_what_it_waits_on_was_closed
    first = process_that_reads
    second = another
    second.run('DynoscaleRuby::Agent.singleton_class.prepend(Module.new { def watch_leader(*) = 9_999 }); serve')
    wait_until('a warning') { second.run('LINES.grep(/any backend .*EBADF/).any?') }
    assert_equal 0, recorded(second)
    first.kill(:KILL)
    wait_until('the second reads') { recorded(second).positive? }
    assert_equal 1, second.run('LINES.size')
  end

  # As where some processes of a dyno have another library, too.
  WITH_DELAYED_JOB = <<~RUBY
    require 'pg'
    require 'active_record'
    ActiveRecord::Base.establish_connection(ENV.fetch('DATABASE_URL'))
    require 'delayed_job_active_record'
    ActiveRecord::Base.connection.create_table(:delayed_jobs) do |t|
      t.datetime :run_at
      t.datetime :locked_at
      t.datetime :failed_at
      t.string :queue
    end
    ActiveRecord::Base.connection.execute("INSERT INTO delayed_jobs (queue, run_at) VALUES ('mails', now())")
    READ = []
    DynoscaleRuby::Jobs.adapters.each do |name, adapter|
      adapter.singleton_class.prepend(Module.new { define_method(:queues) { |*asked, &block| READ << name; super(*asked, &block) } })
    end
  RUBY

  def test_each_backend_is_read_by_one_process_that_has_it
    JobTests::Gems.debian(self, 'pg', '>= 1')
    JobTests::Gems.debian(self, 'delayed_job_active_record', '>= 4.1')
    first = process_that_reads
    second = child(LOAD, env: gems.merge('REDIS_URL' => redis.url, 'DYNO' => 'worker.1',
                                         'DATABASE_URL' => postgres.create('two_backends'),
                                         'DYNOSCALE_PUBLISH_FREQUENCY' => '1',
                                         'DYNOSCALE_URL' => "#{receiver.url}/#{self.class}/#{name}"))
    second.run("#{WITH_DELAYED_JOB}; serve")
    wait_until('it reads the other') { reported.key?('delayed_job:mails') && second.run('READ.size') >= 3 }
    assert_equal %w[delayed_job], second.run('READ.uniq')
    assert_operator recorded(first), :>, 1
    first.kill(:KILL)
    wait_until('it reads both', seconds: 60) { second.run('READ.uniq.sort') == %w[delayed_job sidekiq] }
  end

  def test_when_the_agent_of_the_leader_stops_another_process_can_lead
    first = process_that_reads
    first.run('DynoscaleRuby.stop')
    second = another
    second.run('serve')
    wait_until('the second reads') { recorded(second).positive? }
  end

  def test_one_that_waits_ends_with_its_agent_and_hears_of_new_settings
    process_that_reads
    second = another
    assert_equal 1, second.run('serve; threads')
    second.run("DynoscaleRuby.configure { |c| c.url += '/other' }; nil")
    wait_until('it leads where nobody else does') { recorded(second).positive? }
    third = another
    third.run('serve; DynoscaleRuby.stop')
    wait_until('the thread ends') { third.run('threads').zero? }
  end

  def test_another_app_of_the_machine_has_a_reader_of_its_own
    process_that_reads
    second = another
    second.run("DynoscaleRuby.configure { |c| c.url += '/other' }; serve")
    wait_until('the second reads') { recorded(second).positive? }
  end

  # As under a preloading server: the parent reads; when it is gone, a child does.
  def test_forked_children_wait_for_their_parent_to_end
    parent = process
    parent.run(<<~RUBY)
      put('default', 90)
      serve
      PIPES = Array.new(2) { IO.pipe }
      PIDS = Array.new(2) do |i|
        fork do
          wrote = 0
          loop do
            PIPES[i][1].write("\#{threads} \#{DynoscaleRuby.stats[:recorded]}\\n")
            sleep 0.1
          end
        end
      end
    RUBY
    wait_until('the parent reads') { recorded(parent) >= 3 }
    pids = parent.run('PIDS')
    seen = parent.run('PIPES.map { |reader, _| reader.readpartial(65536).lines.map(&:chomp).uniq }')
    assert_equal [['1 0'], ['1 0']], seen
    parent.run("2.times { put('default', 1) }")
    parent.kill(:KILL)
    receiver.clear
    wait_until('a child reads') { receiver.rows.any? }
  ensure
    pids&.each { |pid| Process.kill(:KILL, pid) }
  end

  def test_a_daemon_goes_on
    child = process
    child.run(<<~RUBY)
      serve
      reader, WRITER = IO.pipe
      fork do
        Process.daemon(true, true)
        WRITER.puts("\#{threads} \#{Process.pid}")
        WRITER.flush
        sleep 60
      end
      WRITER.close
      COUNT = reader.gets.split.map(&:to_i)
    RUBY
    threads, pid = child.run('COUNT')
    assert_equal 1, threads
  ensure
    Process.kill(:KILL, pid) if pid
  end

  def test_it_follows_the_publish_frequency
    child = process(DYNOSCALE_PUBLISH_FREQUENCY: '3600')
    child.run("put('default', 9); serve")
    wait_until('the first reading') { recorded(child) == 1 }
    child.run('DynoscaleRuby.configure { |c| c.publish_frequency = 1 }')
    reader = 'DynoscaleRuby::Jobs.instance_variable_get(:@reader)'
    assert_in_delta 1.0, child.run("#{reader}.send(:interval)")
    receiver.behave('ok', body: '{"config":{"publish_frequency":2}}')
    child.run("DynoscaleRuby.job_queue_time('a', 'b', 1); DynoscaleRuby.flush(timeout: 10)")
    wait_until('the service is heard') { child.run("#{reader}.send(:interval)").to_i == 2 }
  end

  # ---- What is read ----

  def test_it_never_reads_on_a_request
    child = process
    child.run(<<~RUBY)
      THREADS = []
      DynoscaleRuby::Jobs::Sidekiq.prepend(Module.new do
        def queues(*)
          THREADS << Thread.current.name
          super
        end
      end)
      serve
      200.times { $served.call({ 'HTTP_X_REQUEST_START' => (Time.now.to_f * 1000).to_i.to_s }) }
    RUBY
    wait_until('a reading') { child.run('THREADS.any?') }
    assert_equal ['dynoscale-jobs'], child.run('THREADS.uniq')
  end

  def test_names_of_any_kind_travel_or_are_refused_and_counted
    child = process(DYNOSCALE_PUBLISH_FREQUENCY: '3600') # one reading
    names = ['a,b', 'a "b"', "it's", 'ärger 仕事', '100%', 'x' * 200]
    refused = ["two\nlines", "\xFF\xFE", 'y' * 10_240]
    child.run("#{(names + refused).inspect}.each { |name| put(name, 9) }; serve")
    wait_until('all are recorded or refused') do
      child.run('DynoscaleRuby.stats.values_at(:recorded, :jobs_refused)') == [names.size, refused.size]
    end
    assert child.run('DynoscaleRuby.flush(timeout: 20)')
    assert_equal names.map { |name| "sidekiq:#{name}" }.sort, reported.keys.sort
    assert_equal [nil], receiver.reports.map { |report| report['error'] }.uniq
  end

  def test_of_more_than_50_queues_those_with_short_names_are_measured
    child = process
    child.run("(1..30).each { |i| put(format('a%02d', i), 9); put(format('longer%02d', i), 9) }; serve")
    wait_until('reports') { reported.any? }
    expected = (1..30).map { |i| format('sidekiq:a%02d', i) } +
               (1..20).map { |i| format('sidekiq:longer%02d', i) }
    assert_equal expected.sort, reported.keys.sort
    readings = recorded(child)
    wait_until('two more readings') { recorded(child) >= readings + 100 }
    assert_equal 1, child.run('LINES.grep(/50/).size')
  end

  def test_queues_made_for_a_moment_are_left_out
    child = process
    child.run("put('default', 9); put('batch-#{JobTests::UUID}', 9); " \
              "put('#{JobTests::UUID.upcase}', 9); serve")
    wait_until('reports') { reported.any? }
    assert_equal %w[sidekiq:default], reported.keys
  end

  def test_the_settings_decide_otherwise
    child = process(DYNOSCALE_JOB_QUEUES: 'default, batch-*,*_low,a.b')
    child.run("%w[default batch-#{JobTests::UUID} x_low x_lowest a.b axb default2].each { |n| put(n, 9) }
               60.times { |i| put(\"batch-\#{i}\", 9) }
               serve")
    wait_until('reports') { reported.any? }
    expected = ['default', "batch-#{JobTests::UUID}", 'x_low', 'a.b', *(0...60).map { |i| "batch-#{i}" }]
    assert_equal expected.map { |name| "sidekiq:#{name}" }.sort, reported.keys.sort
    assert_empty child.run('LINES')
  end

  def test_the_settings_can_be_a_list_in_code
    child = process
    child.run("DynoscaleRuby.configure { |c| c.job_queues = %w[one tw*] }
               %w[one two three].each { |n| put(n, 9) }
               serve")
    wait_until('reports') { reported.any? }
    assert_equal %w[sidekiq:one sidekiq:two], reported.keys.sort
    assert_empty child.run('LINES')
  end

  # ---- What can't be read ----

  def test_a_backend_that_is_down_is_not_an_empty_queue_and_is_said_once_a_minute
    need_sidekiq6
    gone = TCPServer.open('127.0.0.1', 0) { |socket| socket.addr[1] }
    child = process(port: gone)
    child.run("READ = []
               DynoscaleRuby::Jobs::Sidekiq.prepend(Module.new { def queues(*) = (READ << 1) && super })
               serve")
    wait_until('four readings') { child.run('READ.size') >= 4 }
    assert_equal 0, recorded(child)
    lines = child.run('LINES')
    assert_equal 1, lines.size, lines
    assert_match(/the job queues of sidekiq can't be read: Redis::CannotConnectError/, lines.first)
    refute_includes lines.first, JobTests::RedisServer::PASSWORD
    child.run("Sidekiq.redis = { url: '#{redis.url}' }; put('default', 90); nil")
    wait_until('it is read again') { reported['sidekiq:default'] }
  end

  def test_passwords_are_not_shown
    child = process
    said = lambda do |text|
      child.run("LINES.clear; DynoscaleRuby::Log.failure('text', IOError.new(#{text.inspect})); LINES.first")
    end
    assert_equal '[dynoscale] text: IOError: at redis://[redacted]@host:1/2',
                 said.call('at redis://u:secret@host:1/2')
    refute_includes said.call('bad URI "rediss://:sec ret@host"'), 'ret'
    refute_includes said.call('connection refused: password=secret host=x'), 'secret'
    refute_includes said.call("one\nsecret"), 'secret'
  end

  def test_passwords_are_not_shown_where_a_library_or_the_thread_can_not_be_had
    failing = 'raise(IOError, "at redis://u:secret@host:1/2")'
    child = process(code: LOAD.sub("require 'dynoscale_ruby/middleware'", <<~RUBY))
      def Sidekiq.default_configuration = #{failing}
      require 'dynoscale_ruby/middleware'
      def (DynoscaleRuby::Jobs::Reader).new(**) = #{failing}
    RUBY
    child.run('serve')
    assert_match(/sidekiq does not let .*: IOError: .*redacted/, child.log)
    assert_match(/job queues are not measured: IOError: .*redacted/, child.run('LINES.last'))
    refute_match(/secret/, child.log + child.run('LINES.join'))
  end

  def test_a_backend_that_does_not_answer_is_given_up
    need_sidekiq6
    @proxy = JobTests::Proxy.new(redis.port)
    child = process(port: @proxy.port)
    child.run("Sidekiq.redis = { url: ENV['REDIS_URL'], timeout: 600 }; put('default', 90); serve")
    wait_until('a reading') { recorded(child).positive? }
    @proxy.silent!
    wait_until('a warning') { child.run('LINES.any?') }
    assert_match(/sidekiq can't be read: .*no answer in 5 s/, child.run('LINES.first'))
    assert_equal 1, child.run('threads')
  end

  def test_a_failing_logger_or_backend_does_not_end_the_thread
    child = process
    child.run(<<~RUBY)
      FAILURES = [ScriptError, NoMemoryError, SystemStackError, Class.new(StandardError)]
      DynoscaleRuby::Jobs::Sidekiq.prepend(Module.new do
        def queues(*) = FAILURES.any? ? raise(FAILURES.shift) : super
      end)
      def LOGGER.warn(*) = raise('no')
      put('default', 9)
      serve
    RUBY
    wait_until('it reads after all') { reported['sidekiq:default'] }
  end

  # ---- A backend of the user's own ----

  def test_a_reading_of_the_users_own
    child = process
    assert child.run("DynoscaleRuby.job_queue_time('mybackend', 'default', 1840)")
    wait_until('it is reported') { reported['mybackend:default'] == 1840 }
  end
end
