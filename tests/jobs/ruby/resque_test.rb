# frozen_string_literal: true

require_relative 'test_helper'

class ResqueTest < JobTests::Case
  LOAD = <<~RUBY
    require 'json'
    require 'resque'
    Resque.redis = ENV.fetch('REDIS_URL')
    require 'dynoscale_ruby'
    class Work
      def self.perform(*); end
    end
    ADAPTER = DynoscaleRuby::Jobs.adapters.fetch('resque')
    def ages; ADAPTER.queues { |names| names }; end
    # Ages of all queues.
    def counts(signal)
      names = ADAPTER.queues([signal]) { |found| found }.keys
      names.to_h { |name| [name, ADAPTER.counts[signal] && ADAPTER.counts[signal][name]] }
    end
    def jobs(queue) = Resque.data_store.everything_in_queue(queue)
    def put(queue, seconds_ago, *args)
      Resque.enqueue_to(queue, Work, *args)
      redis = Resque.redis
      job = JSON.parse(redis.rpop("queue:\#{queue}"))
      job['dynoscale_enqueued_at'] -= seconds_ago
      redis.rpush("queue:\#{queue}", JSON.generate(job))
    end
    # As a process without the agent does.
    def put_by_others(queue, *args)
      Resque.data_store.push_to_queue(queue, Resque.encode(class: 'Work', args: args))
    end
  RUBY

  def setup
    super
    redis.call('FLUSHALL')
  end

  def gems
    JobTests::Gems.environment(self, :resque)
  end

  def resque(port: redis.port, **env)
    child(LOAD, env: gems.merge('DYNOSCALE_URL' => 'http://127.0.0.1:9/x',
                                'REDIS_URL' => redis.url(port), **env.transform_keys(&:to_s)))
  end

  def test_the_age_is_that_of_the_oldest_job
    child = resque
    child.run("put('high', 90, 1); put('high', 60, 2); put('low', 5)")
    ages = child.run('ages')
    assert_equal %w[high low], ages.keys.sort
    assert_age 90_000, ages['high']
    assert_age 5_000, ages['low']
  end

  def test_an_empty_queue_that_is_known_is_zero
    child = resque
    child.run("put('high', 90); Resque.pop('high')")
    assert_equal({ 'high' => 0 }, child.run('ages'))
  end

  def test_the_depth_is_the_number_of_jobs
    child = resque
    child.run("20.times { put_by_others('high') }; put('low', 5)
               Resque.redis.sadd('queues', %w[odd]); Resque.redis.set('queue:odd', 'text'); nil")
    assert_equal({ 'high' => 20, 'low' => 1, 'odd' => nil }, child.run("counts('depth')"))
    child.run("Resque.remove_queue('high'); Resque.redis.sadd('queues', %w[high])
               Resque.redis.set('pause-all-workers', 'true'); nil")
    assert_equal({ 'high' => nil, 'low' => nil, 'odd' => nil }, child.run("counts('depth')"))
  end

  def test_jobs_that_workers_work_on_are_counted_by_their_queue_until_a_worker_must_be_dead
    child = resque
    child.run(<<~'RUBY')
      WORKERS = Array.new(3) do |i|
        put('high', 5, 'x' * 50_000, 'queue' => 'no')
        worker = Resque::Worker.new('high')
        worker.define_singleton_method(:to_s) { "host:\#{i}:high" }
        worker.define_singleton_method(:id) { to_s }
        worker.register_worker
        worker.heartbeat!
        worker
      end
      put('low', 5)
      2.times { |i| WORKERS[i].working_on(WORKERS[i].reserve) }
      nil
    RUBY
    assert_equal({ 'high' => 2, 'low' => 0 }, child.run("counts('working')"))
    child.run('WORKERS[0].heartbeat!(Time.now - 301)')
    assert_equal({ 'high' => 1, 'low' => 0 }, child.run("counts('working')"))
    child.run('WORKERS[1].done_working')
    assert_equal({ 'high' => 0, 'low' => 0 }, child.run("counts('working')"))
  end

  def test_a_job_keeps_its_class_and_arguments_and_gets_a_time
    child = resque
    child.run("Resque.enqueue_to('high', Work, 1, 'two', 'three' => 3)")
    job = child.run("Resque.peek('high')")
    assert_equal ['Work', [1, 'two', { 'three' => 3 }]], job.values_at('class', 'args')
    assert_in_delta Time.now.to_f, job['dynoscale_enqueued_at'], 20
  end

  def test_what_is_no_job_comes_back_as_it_went_in
    child = resque
    [{ 'name' => 'chris' }, { 'class' => 'x' }, { 'args' => [] }, %w[class args], 'text'].each do |item|
      child.run("Resque.push('people', #{item.inspect})")
      assert_equal item, child.run("Resque.pop('people')")
    end
  end

  def test_of_jobs_with_large_arguments_both_ends_are_fetched
    child = resque
    child.run("put('own', 90, 'enqueued_at\":{[é' * 10_000)
               put_by_others('active', { 'job_class' => 'X', 'arguments' => ['é' * 10_000], " \
              "'enqueued_at' => (Time.now - 70).utc.iso8601(9), 'scheduled_at' => nil })
               put_by_others('later', { 'job_class' => 'X', 'arguments' => ['é' * 10_000], " \
              "'enqueued_at' => (Time.now - 70).utc.iso8601(9), 'scheduled_at' => (Time.now - 40).utc.iso8601(9) })")
    ages = child.run('ages')
    assert_age 90_000, ages['own']
    assert_age 70_000, ages['active']
    assert_age 40_000, ages['later']
  end

  def test_what_is_fetched_has_a_bound
    resque.run("200.times { |i| 40.times { |q| put_by_others(\"q\#{q}\", 'x' * 10_000) } if i < 20 }; nil")
    @proxy = JobTests::Proxy.new(redis.port)
    child = resque(port: @proxy.port)
    child.run('Resque.redis.ping')
    @proxy.bytes
    child.run('ages')
    assert_operator @proxy.bytes, :<, 1_500_000
  end

  def test_a_key_of_another_type_hides_no_other_queue
    child = resque
    child.run("put('high', 90); Resque.redis.sadd('queues', ['odd']); Resque.redis.set('queue:odd', 'text')")
    ages = child.run('ages')
    assert_nil ages.fetch('odd')
    assert_age 90_000, ages['high']
  end

  # The app's enqueueing waits for whoever uses Resque's one connection.
  def test_the_connection_of_resque_is_not_used
    child = resque
    child.run("put('high', 90); ages; ID = Resque.redis.redis.call(%w[CLIENT ID])")
    assert(child.run('ADAPTER.instance_variable_get(:@redis).redis.call(%w[CLIENT ID]) != ID'))
  end

  def test_jobs_are_removed_as_without_the_agent
    child = resque
    child.run("[1, 2, 2, 3].each { |i| Resque.enqueue_to('high', Work, i) }; " \
              "put_by_others('high', 2); Resque.enqueue_to('high', String, 2)")
    assert_equal 3, child.run("Resque::Job.destroy('high', Work, 2)")
    assert_equal 3, child.run("jobs('high').size")
    assert_equal 0, child.run("Resque::Job.destroy('high', Work, 9)")
    assert_equal 2, child.run("Resque::Job.destroy('high', Work)")
    assert_equal 1, child.run("jobs('high').size")
  end

  def test_jobs_are_removed_from_a_long_queue_in_two_turns
    resque.run("3_000.times { |i| Resque.enqueue_to('high', Work, i % 3, { 'a' => [1.5, nil, 'x\"}'] }) }
                Resque.enqueue_to('high', Work, 1, { 'a' => [1.5, nil] }); nil")
    @proxy = JobTests::Proxy.new(redis.port)
    child = resque(port: @proxy.port)
    child.run("Resque.size('high')")
    @proxy.turns
    assert_equal 1_000, child.run("Resque::Job.destroy('high', Work, 1, { 'a' => [1.5, nil, 'x\"}'] })")
    assert_equal 2, @proxy.turns
    assert_equal({ 0 => 1_000, 1 => 1, 2 => 1_000 },
                 child.run("jobs('high').map { |job| JSON.parse(job)['args'][0] }.tally"))
  end

  def test_where_the_agent_is_off_resque_alone_removes_jobs
    @proxy = JobTests::Proxy.new(redis.port)
    child = resque(port: @proxy.port, DYNOSCALE_URL: '')
    child.run("Resque.enqueue_to('high', Work, 1)")
    @proxy.turns
    assert_equal 1, child.run("Resque::Job.destroy('high', Work, 1)")
    assert_equal 1, @proxy.turns
  end

  # As where scripts are forbidden to the app's user.
  def test_a_failure_to_remove_jobs_is_not_the_apps
    child = resque
    child.run("LINES = []
               LOGGER = Object.new
               %i[debug info warn error].each { |l| LOGGER.define_singleton_method(l) { |t| LINES << t } }
               DynoscaleRuby.configure { |c| c.logger = LOGGER }
               Resque.enqueue_to('high', Work, 1); put_by_others('high', 1)")
    begin
      redis.call('ACL', 'SETUSER', 'default', '-eval')
      assert_equal 1, child.run("Resque::Job.destroy('high', Work, 1)")
      assert_equal 0, child.run("Resque::Job.destroy('high', Work, 1)")
    ensure
      redis.call('ACL', 'SETUSER', 'default', '+eval')
    end
    lines = child.run('LINES.grep(/removed/)')
    assert_equal 1, lines.size, lines
    assert_equal 1, child.run("Resque::Job.destroy('high', Work, 1)")
  end

  # There is no telling how old they are: nothing is said, rather than 0.
  def test_jobs_of_processes_without_the_agent
    child = resque
    child.run("20.times { put_by_others('others') }; put_by_others('both'); put('both', 30)")
    ages = child.run('ages')
    assert_nil ages.fetch('others')
    assert_age 30_000, ages['both'], 'older than the first whose age is known'
  end

  def test_jobs_of_active_job_have_a_time_of_their_own
    child = resque
    child.run("put_by_others('high', { 'job_class' => 'X', " \
              "'enqueued_at' => (Time.now - 70).utc.iso8601(9) })")
    assert_age 70_000, child.run('ages')['high']
  end

  def test_a_scheduled_job_of_active_job_counts_from_when_it_was_due
    child = resque
    child.run("put_by_others('high', { 'job_class' => 'X', " \
              "'enqueued_at' => (Time.now - 3600).utc.iso8601(9), " \
              "'scheduled_at' => (Time.now - 70).utc.iso8601(9) })
               put_by_others('low', { 'job_class' => 'X', 'scheduled_at' => nil, " \
              "'enqueued_at' => (Time.now - 70).utc.iso8601(9) })")
    assert_age 70_000, child.run('ages')['high']
    assert_age 70_000, child.run('ages')['low']
  end

  def test_without_a_use_for_it_a_job_gets_no_time
    { DYNOSCALE_URL: '', DYNOSCALE_JOBS: 'off', SKIP_DYNOSCALE_AGENT: '1' }.each do |name, value|
      child = resque(name => value)
      child.run("Resque.enqueue_to('q', Work)")
      assert_equal %w[class args], child.run("Resque.peek('q', 0, 9).last.keys"), name
    end
  end

  # The second dyno's own queues are read by the first.
  def test_a_dyno_that_does_not_report_gives_jobs_a_time
    child = resque(DYNO: 'web.2')
    child.run("Resque.enqueue_to('q', Work)")
    assert_includes child.run("Resque.peek('q').keys"), 'dynoscale_enqueued_at'
  end

  def test_paused_workers_are_recognised
    child = resque
    child.run("put('high', 90); Resque.redis.set('pause-all-workers', 'true')")
    assert_equal({ 'high' => nil }, child.run('ages'))
  end

  def test_the_round_trips_do_not_grow_with_the_queues_and_nothing_is_changed
    @proxy = JobTests::Proxy.new(redis.port)
    child = resque(port: @proxy.port)
    child.run("put('q', 9); ages")
    turns = [1, 40].map do |queues|
      child.run("#{queues}.times { |i| put(\"q\#{i}\", i) }; nil")
      before = redis.digest
      @proxy.turns
      assert_operator child.run('ages').size, :>, queues
      assert_equal before, redis.digest
      @proxy.turns
    end
    assert_equal [2, 2], turns
  end

  def test_a_backend_that_cannot_be_read_raises
    gone = TCPServer.open('127.0.0.1', 0) { |socket| socket.addr[1] }
    error = assert_raises(JobTests::Child::Failure) { resque(port: gone).run('ages') }
    assert_match(/CannotConnect|ECONNREFUSED|refused/i, error.message)
  end

  # Its certificate is one of this test's own, which Resque's connection alone knows.
  def test_a_connection_by_tls_is_resques_own
    Dir.mktmpdir('dynoscale') do |directory|
      server = JobTests::RedisTLSServer.new(directory)
      child = resque
      child.run(<<~RUBY)
        Resque.redis = { url: #{server.tls_url.inspect}, ssl_params: { ca_file: #{server.certificate.inspect} } }
        put('high', 90)
      RUBY
      assert_age 90_000, child.run('ages')['high']
    ensure
      server&.stop
    end
  end

  # Only the Sentinel knows where the server is.
  def test_a_server_behind_a_sentinel_is_found_as_resque_finds_it
    sentinel = JobTests::RedisSentinel.new(redis)
    child = resque
    child.run("Resque.redis = #{sentinel.settings}; put('high', 90)")
    assert_age 90_000, child.run('ages')['high']
  ensure
    sentinel&.stop
  end

  # Its queues are on both servers.
  def test_a_cluster_is_read_as_resque_uses_it
    cluster = JobTests::RedisCluster.new
    wait_until('the servers know each other') { cluster.whole? }
    child = resque
    child.run(<<~RUBY)
      require 'redis-clustering'
      Resque.redis = Redis::Namespace.new(:resque, redis: Redis::Cluster.new(nodes: #{cluster.servers.map(&:url)}))
      8.times { |i| put("q\#{i}", 90 + i) }
      Resque.pop('q7')
    RUBY
    assert(cluster.servers.all?(&:keys?))
    ages = child.run('ages')
    assert_equal 0, ages.delete('q7')
    assert_equal 7, ages.size
    ages.each { |name, age| assert_age 90_000 + (name[1].to_i * 1000), age }
  ensure
    cluster&.stop
  end

  def test_a_server_of_a_cluster_is_not_an_empty_one
    server = JobTests::RedisClusterServer.new
    error = assert_raises(JobTests::Child::Failure) { resque(port: server.port).run('ages') }
    assert_match(/CLUSTERDOWN/, error.message)
  ensure
    server&.stop
  end

  # A job's process ends by exit!.
  def test_readings_of_the_users_own_in_jobs_are_reported
    child = child(LOAD, env: reporting.merge(gems, 'REDIS_URL' => redis.url, 'DYNOSCALE_PUBLISH_FREQUENCY' => '600'))
    child.run(<<~RUBY)
      Work.singleton_class.remove_method(:perform)
      class Work
        def self.perform(i) = DynoscaleRuby.job_queue_time('mine', "q\#{i}", i)
      end
      10.times { |i| Resque.enqueue_to('high', Work, i) }
      WORKER = Thread.new { Resque::Worker.new('high').tap(&:prepare).work(0.1) }
      nil
    RUBY
    wait_until('all are reported', seconds: 60) { reported.keys.grep(/\Amine:/).size == 10 }
  end

  # The thread lives in the worker, and not in the children that it forks for its jobs.
  def test_the_worker_starts_it_and_works_its_jobs
    child = child(LOAD, env: reporting.merge(gems, 'REDIS_URL' => redis.url))
    child.run(<<~RUBY)
      Work.singleton_class.remove_method(:perform)
      class Work
        def self.perform(_)
          Resque.redis.rpush('threads', Thread.list.map(&:name).compact.join(','))
        end
      end
      put('nobody', 90)
      20.times { |i| Resque.enqueue_to('high', Work, i) }
      WORKER = Thread.new { Resque::Worker.new('high').tap(&:prepare).work(0.1) }
      nil
    RUBY
    wait_until('the age of the queue that nobody works') { reported['resque:nobody'] }
    assert_age 90_000, reported['resque:nobody']
    wait_until('an empty queue') { reported['resque:high']&.zero? }
    wait_until('all jobs done') { child.run("Resque.redis.llen('threads')") == 20 }
    refute_includes child.run("Resque.redis.lrange('threads', 0, -1).join"), 'dynoscale'
    assert_equal 0, child.run('Resque::Failure.count')
    assert_equal 1, child.run("Thread.list.count { |thread| thread.name == 'dynoscale-jobs' }")
  end

  def test_the_rake_task_of_a_worker_starts_it
    resque.run("put('nobody', 90)")
    env = reporting.merge(gems, 'REDIS_URL' => redis.url, 'RUBYLIB' => JobTests::Child::LIBRARY,
                                'QUEUE' => 'high', 'INTERVAL' => '0.1')
    Dir.mktmpdir('dynoscale') do |directory|
      File.write(File.join(directory, 'Rakefile'), <<~RUBY)
        require 'resque'
        Resque.redis = ENV.fetch('REDIS_URL')
        require 'resque/tasks'
        require 'dynoscale_ruby'
      RUBY
      run_program(env, '-S', 'rake', 'resque:work', directory: directory) do
        wait_until('a report of the worker') { reported['resque:nobody'] }
      end
    end
    assert_age 90_000, reported['resque:nobody']
  end
end
