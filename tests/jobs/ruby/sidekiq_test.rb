# frozen_string_literal: true

require_relative 'test_helper'

# Each test with each Sidekiq that is available.
module SidekiqCases
  LOAD = <<~RUBY
    require 'json'
    require 'sidekiq'
    require 'sidekiq/api'
    require 'dynoscale_ruby'
    class Work
      include Sidekiq.const_defined?(:Job) ? Sidekiq::Job : Sidekiq::Worker
      def perform(*); end
    end
    [Sidekiq, (Sidekiq.default_configuration if Sidekiq.respond_to?(:default_configuration))]
      .compact.each { |sidekiq| sidekiq.logger.level = 4 }
    ADAPTER = DynoscaleRuby::Jobs.adapters.fetch('sidekiq')
    def ages; ADAPTER.queues { |names| names }; end
    # Ages of all queues.
    def counts(signal)
      ADAPTER.queues([signal]) { |names| names }.to_h { |name, _| [name, ADAPTER.counts[signal] && ADAPTER.counts[signal][name]] }
    end
    def put(queue, seconds_ago, **more)
      Sidekiq::Client.push({ 'class' => 'Work', 'args' => [], 'queue' => queue }
        .merge(more.transform_keys(&:to_s)))
      Sidekiq.redis do |redis|
        job = JSON.parse(redis.lpop("queue:\#{queue}"))
        at = job['enqueued_at'] - seconds_ago * (job['enqueued_at'] > 1e11 ? 1000 : 1)
        redis.lpush("queue:\#{queue}", JSON.generate(job.merge('enqueued_at' => at)))
      end
    end
  RUBY

  def setup
    super
    redis.call('FLUSHALL')
  end

  # A child with this Sidekiq.
  def sidekiq(port: redis.port, env: {})
    child(self.class::PRELUDE + LOAD,
          env: gems.merge('REDIS_URL' => redis.url(port), **env))
  end

  def test_the_age_is_that_of_the_oldest_job
    child = sidekiq
    child.run("put('default', 90); put('default', 60); put('low', 5)")
    ages = child.run('ages')
    assert_equal %w[default low], ages.keys.sort
    assert_age 90_000, ages['default']
    assert_age 5_000, ages['low']
  end

  def test_an_empty_queue_that_is_known_is_zero
    child = sidekiq
    assert_equal({}, child.run('ages'))
    child.run("put('default', 90); Sidekiq.redis { |redis| redis.rpop('queue:default') }")
    assert_equal({ 'default' => 0 }, child.run('ages'))
  end

  def test_a_scheduled_job_counts_once_it_is_due_and_from_then
    child = sidekiq
    child.run("Work.perform_in(3600); Work.set(queue: 'due').perform_in(3600)")
    assert_equal({}, child.run('ages').compact.reject { |_, age| age.zero? })
    child.run(<<~RUBY)
      Sidekiq.redis do |redis|
        job = Sidekiq::ScheduledSet.new.find { |found| found.queue == 'due' }
        redis.zadd('schedule', Time.now.to_f - 40, job.value)
      end
    RUBY
    ages = child.run('ages')
    assert_age 40_000, ages['due']
    refute_includes child.log, 'jobs/sidekiq.rb', 'nothing is said of deprecated commands'
    assert_includes [nil, 0], ages['default']
  end

  def test_a_retry_counts_from_when_it_became_due
    child = sidekiq
    child.run(<<~RUBY)
      job = { 'class' => 'Work', 'args' => [], 'queue' => 'default', 'jid' => 'a', 'retry' => true,
              'created_at' => Time.now.to_f - 9000, 'enqueued_at' => Time.now.to_f - 9000 }
      Sidekiq.redis { |redis| redis.zadd('retry', Time.now.to_f - 30, JSON.generate(job)) }
    RUBY
    assert_includes 29_950..60_000, child.run('ages')['default']
  end

  def test_a_paused_queue_is_recognised
    child = sidekiq
    child.run("put('default', 90); put('low', 90)")
    child.run("Sidekiq.redis { |redis| redis.sadd('paused', ['low']) }")
    ages = child.run('ages')
    assert_nil ages.fetch('low')
    assert_age 90_000, ages['default']
  end

  def test_the_depth_is_the_number_of_jobs_that_are_ready_due_ones_among_them
    child = sidekiq
    child.run(<<~RUBY)
      3.times { put('default', 9) }
      2.times { put('low', 9) }
      Work.set(queue: 'low').perform_in(3600)
      Work.set(queue: 'later').perform_in(3600)
      Sidekiq.redis do |redis|
        job = JSON.generate('class' => 'Work', 'args' => [], 'jid' => 'a', 'queue' => 'low')
        redis.zadd('retry', Time.now.to_f - 30, job)
        redis.sadd('queues', %w[odd text])
        redis.set('queue:odd', 'text')
        redis.lpush('queue:text', 'no job')
      end
    RUBY
    assert_equal({ 'default' => 3, 'low' => 3, 'later' => 0, 'odd' => nil, 'text' => 1 },
                 { 'later' => 0 }.merge(child.run("counts('depth')")))
    child.run("Sidekiq.redis { |redis| redis.sadd('paused', ['low']); redis.del('queue:default') }")
    assert_equal [0, nil], child.run("counts('depth').values_at('default', 'low')")
  end

  # Runs a worker while the block runs.
  def while_working(*queues, &block)
    env = reporting.merge(gems, 'REDIS_URL' => redis.url, 'RUBYLIB' => JobTests::Child::LIBRARY)
    Tempfile.create(%w[app .rb]) do |app|
      app.write(<<~RUBY)
        #{self.class::PRELUDE}require 'sidekiq'
        require 'sidekiq/launcher'
        Sidekiq::Launcher.prepend(Module.new { def sleep(*) = super(0.1) }) # between two heartbeats
        class Work
          include Sidekiq.const_defined?(:Job) ? Sidekiq::Job : Sidekiq::Worker
          def perform(end_file, *) = (sleep 0.05 until File.exist?(end_file))
        end
      RUBY
      app.close
      run_program(env, '-e', "#{self.class::PRELUDE}load Gem.bin_path('sidekiq', 'sidekiq')", '--',
                  '-r', app.path, '-c', '3', *queues.flat_map { |queue| ['-q', queue] }, &block)
    end
  end

  def test_jobs_that_threads_work_on_are_counted_by_their_queue
    child = sidekiq
    Dir.mktmpdir do |directory|
      queues = ['default', 'a "b" c']
      child.run("put('low', 9)
                 [*#{queues.inspect}, 'default'].each do |queue|
                   Work.set(queue: queue).perform_async('#{directory}/end', 'x' * 200_000)
                 end; nil")
      assert_equal({ 'default' => 0, 'a "b" c' => 0, 'low' => 0 }, child.run("counts('working')"))
      while_working(*queues) do
        wait_until(-> { "three jobs: #{child.run("counts('working')")}" }, seconds: 60) do
          child.run("counts('working')") == { 'default' => 2, 'a "b" c' => 1, 'low' => 0 }
        end
        File.write("#{directory}/end", '')
        wait_until('all are done', seconds: 60) { child.run("counts('working')").values.all?(&:zero?) }
      end
    end
  end

  def test_too_much_work_to_look_through_is_not_counted
    child = sidekiq
    child.run(<<~RUBY)
      put('default', 9)
      Sidekiq.redis do |redis|
        redis.sadd('processes', ['host:1:a'])
        %w[work workers].each do |key|
          60.times { |i| redis.hset("host:1:a:\#{key}", i.to_s, JSON.generate('queue' => 'default', 'payload' => 'x' * 50_000)) }
        end
      end
    RUBY
    assert_equal({ 'default' => nil }, child.run("counts('working')"))
    assert_equal({ 'default' => 1 }, child.run("counts('depth')"))
  end

  def test_a_job_of_unknown_age_is_not_reported
    child = sidekiq
    child.run("Sidekiq.redis { |r| r.sadd('queues', ['x']); r.lpush('queue:x', 'not JSON') }")
    assert_equal({ 'x' => nil }, child.run('ages'))
  end

  # As a scheduler in Lua leaves it.
  def test_times_as_text
    child = sidekiq
    child.run(<<~RUBY)
      job = { 'class' => 'Work', 'args' => [] }
      Sidekiq.redis do |r|
        r.sadd('queues', %w[text created junk])
        r.lpush('queue:text', JSON.generate(job.merge('enqueued_at' => (Time.now.to_f - 60).to_s)))
        r.lpush('queue:created', JSON.generate(job.merge('created_at' => (Time.now.to_f - 50).to_s)))
        r.lpush('queue:junk', JSON.generate(job.merge('enqueued_at' => 'yesterday')))
      end
    RUBY
    ages = child.run('ages')
    assert_age 60_000, ages['text']
    assert_age 50_000, ages['created']
    assert_nil ages.fetch('junk')
  end

  # Arguments that look like what a job says of itself, and that are cut in the middle of a character.
  BIG = <<~'RUBY'
    def big(kilobytes)
      text = '"queue":"no","enqueued_at":1,é\"{[' * (kilobytes * 32)
      { 'retry' => true, 'queue' => 'default', 'class' => 'Work', 'args' => [{ 'queue' => 'no', 'a' => text }],
        'enqueued_at' => Time.now.to_f - 70, 'tags' => [{ 'enqueued_at' => 1.5 }], 'jid' => 'é' * 40 }
    end
  RUBY

  def test_of_jobs_with_large_arguments_both_ends_are_fetched
    child = sidekiq
    child.run("#{BIG}; JOB = JSON.generate(big(100))
               Sidekiq.redis { |r| r.sadd('queues', %w[default]); r.lpush('queue:default', JOB) }")
    assert_age 70_000, child.run('ages')['default']
  end

  def test_what_is_fetched_of_jobs_that_are_due_has_a_bound
    sidekiq.run("#{BIG}; Sidekiq.redis { |r| 200.times { |i| r.zadd('retry', Time.now.to_f - 30,
                 JSON.generate(big(20).merge('jid' => i.to_s * 9))) } }; nil")
    @proxy = JobTests::Proxy.new(redis.port)
    child = sidekiq(port: @proxy.port)
    child.run('Sidekiq.redis(&:ping)')
    @proxy.bytes
    assert_age 30_000, child.run('ages')['default']
    assert_operator @proxy.bytes, :<, 500_000
  end

  def test_a_key_of_another_type_hides_no_other_queue
    child = sidekiq
    child.run("put('default', 90); Sidekiq.redis { |r| r.sadd('queues', %w[odd])
               %w[queue:odd schedule].each { |key| r.set(key, 'text') } }")
    ages = child.run('ages')
    assert_nil ages.fetch('odd')
    assert_age 90_000, ages['default']
  end

  def test_no_connection_of_sidekiqs_is_held
    @proxy = JobTests::Proxy.new(redis.port)
    child = sidekiq(port: @proxy.port)
    child.run("put('default', 90); ages")
    @proxy.silent!
    free = child.run(<<~RUBY)
      READING = Thread.new { ages }
      READING.report_on_exception = false
      sleep 0.01 until READING.status == 'sleep'
      pool = Sidekiq.respond_to?(:redis_pool) ? Sidekiq.redis_pool : Sidekiq.default_configuration.redis_pool
      [pool.available, pool.size]
    RUBY
    assert_equal(*free)
  end

  def test_times_in_ms_as_sidekiq_8_writes_them
    child = sidekiq
    child.run(<<~RUBY)
      put('default', 0)
      Sidekiq.redis do |redis|
        job = JSON.parse(redis.lpop('queue:default'))
        job['enqueued_at'] = ((Time.now.to_f - 70) * 1000).to_i
        redis.lpush('queue:default', JSON.generate(job))
      end
    RUBY
    assert_age 70_000, child.run('ages')['default']
  end

  def test_the_round_trips_do_not_grow_with_the_queues_and_nothing_is_changed
    @proxy = JobTests::Proxy.new(redis.port)
    child = sidekiq(port: @proxy.port)
    child.run("put('q', 9); Work.perform_in(3600); ages")
    turns = [1, 40].map do |queues|
      child.run("#{queues}.times { |i| put(\"q\#{i}\", i) }; nil")
      before = redis.digest
      @proxy.turns
      assert_operator child.run('ages').size, :>, queues
      assert_equal before, redis.digest
      @proxy.turns
    end
    assert_equal 2, turns.first
    assert_equal turns.first, turns.last
  end

  def test_a_backend_that_cannot_be_read_raises
    gone = TCPServer.open('127.0.0.1', 0) { |socket| socket.addr[1] }
    error = assert_raises(JobTests::Child::Failure) { sidekiq(port: gone).run('ages') }
    assert_match(/CannotConnect|ECONNREFUSED|refused/i, error.message)
  end

  # Sidekiq itself works on no cluster.
  def test_a_server_of_a_cluster_is_not_an_empty_one
    server = JobTests::RedisClusterServer.new
    error = assert_raises(JobTests::Child::Failure) { sidekiq(port: server.port).run('ages') }
    assert_match(/CLUSTERDOWN/, error.message)
  ensure
    server&.stop
  end

  # Its certificate is one of this test's own, which Sidekiq's settings alone make known.
  def test_a_connection_by_tls_is_sidekiqs_own
    Dir.mktmpdir('dynoscale') do |directory|
      server = JobTests::RedisTLSServer.new(directory)
      child = child(self.class::PRELUDE + LOAD + <<~RUBY, env: gems)
        TLS = { url: #{server.tls_url.inspect}, ssl_params: { ca_file: #{server.certificate.inspect} } }
        Sidekiq.configure_client { |config| config.redis = TLS }
        put('default', 90)
      RUBY
      assert_age 90_000, child.run('ages')['default']
    ensure
      server&.stop
    end
  end

  # Only the Sentinel knows where the server is.
  def test_a_server_behind_a_sentinel_is_found_as_sidekiq_finds_it
    sentinel = JobTests::RedisSentinel.new(redis)
    child = child(self.class::PRELUDE + LOAD + <<~RUBY, env: gems)
      Sidekiq.configure_client { |config| config.redis = #{sentinel.settings} }
      put('default', 90)
    RUBY
    assert_age 90_000, child.run('ages')['default']
  ensure
    sentinel&.stop
  end

  # As sidekiqswarm does it: the app is loaded once, the workers are forked.
  def test_of_forked_workers_one_reads
    sidekiq.run("put('nobody', 90)")
    parent = child(self.class::PRELUDE + LOAD + <<~RUBY, env: reporting.merge(gems, 'REDIS_URL' => redis.url))
      require 'sidekiq/cli'
      READER, WRITER = IO.pipe
      PIDS = Array.new(2) do
        fork do
          $stdin.reopen(File::NULL)
          cli = Sidekiq::CLI.instance
          cli.parse(['-r', '/dev/null', '-q', 'default', '-c', '1'])
          def cli.boot_application; end
          cli.run
        end
      end
    RUBY
    pids = parent.run('PIDS')
    wait_until(-> { "a report of a worker #{parent.log}" }) { receiver.rows.any? }
    assert_age 90_000, reported.fetch('sidekiq:nobody')
    leader = nil
    wait_until('one leads') { leader = pids.find { |pid| leads?(pid) } }
    Process.kill(:KILL, leader)
    wait_until('the other leads') { leads?((pids - [leader]).first) }
  ensure
    pids&.each { |pid| Process.kill(:KILL, pid) }
  end

  # According to the kernel.
  def leads?(pid)
    File.readlines('/proc/locks').any? do |line|
      _, kind, _, _, owner = line.split
      kind == 'POSIX' && owner.to_i == pid
    end
  end

  # A process that does nothing but work jobs.
  def test_the_worker_starts_it
    env = reporting.merge(gems, 'REDIS_URL' => redis.url, 'RUBYLIB' => JobTests::Child::LIBRARY)
    sidekiq.run("put('nobody', 90)")
    Tempfile.create(%w[app .rb]) do |app|
      app.write("#{self.class::PRELUDE}require 'sidekiq'; require 'dynoscale_ruby'\n")
      app.close
      run_program(env, '-e', "#{self.class::PRELUDE}load Gem.bin_path('sidekiq', 'sidekiq')",
                  '--', '-r', app.path, '-q', 'default') do
        wait_until('a report of the worker') { receiver.rows.any? }
      end
    end
    assert_age 90_000, reported.fetch('sidekiq:nobody')
  end
end

# 6.4 in Debian 12, 7.3 in Debian 13.
class SidekiqDebianTest < JobTests::Case
  include SidekiqCases
  PRELUDE = ''

  def gems
    JobTests::Gems.debian(self, 'sidekiq', '>= 6.4')
  end
end

class SidekiqNewestTest < JobTests::Case
  include SidekiqCases
  PRELUDE = "gem 'sidekiq', '>= 7'\n"

  def gems
    JobTests::Gems.environment(self, :sidekiq)
  end
end
