# frozen_string_literal: true

require_relative 'test_helper'
require_relative 'support/rails_app'

# A Rails app of a test's own, and its programs.
module RailsPrograms
  SIDEKIQ = "require 'sidekiq'"

  def app(libraries: SIDEKIQ, adapter: :sidekiq)
    @app ||= JobTests::RailsApp.make(
      libraries: libraries,
      configuration: "config.active_job.queue_adapter = :#{adapter}\nconfig.middleware.use(Rack::Runtime)"
    )
  end

  def setup
    super
    redis.call('FLUSHALL')
  end

  def teardown
    super
    FileUtils.rm_rf(@app) if @app
  end

  # Of a program that ends by itself.
  def output(env, *arguments)
    Dir.chdir(app) do
      IO.popen([ENV.slice(*JobTests::Child::KEPT).merge(env), RbConfig.ruby, *arguments,
                { unsetenv_others: true, err: %i[child out] }], 'r+') do |program|
        yield program if block_given?
        program.close_write
        program.read
      end
    end
  end

  # Yields what the processes of an app with a database need, and what the code said that enqueued.
  def enqueued_by(code, **more)
    url = postgres.create('railstest').sub('postgres:', 'postgresql:')
    env = environment(**more, DATABASE_URL: url)
    yield env, output(env.merge('DYNOSCALE_URL' => ''), '-e', code)
  end

  # Puma with its workers, while the block runs; what it says.
  def serving(env, &block)
    port = TCPServer.open('127.0.0.1', 0) { |socket| socket.addr[1] }
    run_program(env, '-S', 'puma', '-b', "tcp://127.0.0.1:#{port}", directory: app, &block)
  end

  def wait_for_reports(*sources, said: nil)
    wait_until(-> { "reports #{receiver.rows} #{said}" }) { sources.all? { |source| reported[source] } }
  end
end

# The processes that a Rails app has: what serves and what works reads, nothing else does.
class RailsTest < JobTests::Case
  include RailsPrograms

  DELAYED_JOB = "require 'active_record/railtie'; require 'delayed_job_active_record'"

  def environment(**more)
    JobTests::Gems.debian(self, 'rails', '>= 6.1')
    gems = JobTests::Gems.debian(self, 'sidekiq', '>= 6.4')
    gems.merge(reporting(DYNO: 'web.1', **more),
               { 'REDIS_URL' => redis.url, 'RUBYLIB' => JobTests::Child::LIBRARY })
  end

  # Enqueues as the app does.
  def enqueue(seconds_ago)
    code = "require './config/environment'
      WorkJob.set(queue: 'mail').perform_later(1)
      Sidekiq.redis do |redis|
        job = JSON.parse(redis.lpop('queue:mail'))
        redis.lpush('queue:mail', JSON.generate(job.merge('enqueued_at' => Time.now.to_f - #{seconds_ago})))
      end"
    output(environment(DYNOSCALE_URL: ''), '-e', code)
  end

  def test_a_preloading_server_without_traffic_and_without_a_word_about_threads
    app
    enqueue(90)
    log = serving(environment) { wait_for_reports('sidekiq:mail') }
    assert_age 90_000, reported['sidekiq:mail']
    refute_includes log, 'dynoscale_ruby/jobs', 'Puma does not warn of the thread'
    refute_includes log, 'Timeout stdlib thread'
  end

  def test_the_worker_of_the_app
    app
    enqueue(90)
    run_program(environment(DYNO: 'worker.1'), '-S', 'sidekiq', '-q', 'other', directory: app) do
      wait_for_reports('sidekiq:mail')
    end
  end

  def test_a_runner_a_rake_task_and_a_console_have_no_thread
    app
    enqueue(90)
    env = environment
    assert_includes output(env, 'bin/rails', 'runner', 'puts THREADS.call'), 'threads=0'
    assert_includes output(env, '-S', 'rake', 'threads'), 'threads=0'
    console = output(env, 'bin/rails', 'console') { |program| program.puts 'puts THREADS.call' }
    assert_includes console, 'threads=0'
    assert_empty receiver.rows
  end

  DELAYED_JOBS = <<~RUBY
    require './config/environment'
    ActiveRecord::Base.connection.create_table(:delayed_jobs) do |t|
      t.integer :priority, default: 0
      t.integer :attempts, default: 0
      t.text :handler, :last_error
      t.datetime :run_at, :locked_at, :failed_at
      t.string :locked_by, :queue
      t.timestamps null: true
    end
    WorkJob.set(queue: 'other', wait_until: Time.now - 90).perform_later
  RUBY

  def enqueue_in_delayed_job(libraries: DELAYED_JOB, **more, &block)
    JobTests::Gems.debian(self, 'delayed_job_active_record', '>= 4.1')
    app(libraries: libraries, adapter: :delayed_job)
    enqueued_by(DELAYED_JOBS, **more, &block)
  end

  def test_a_rake_task_that_is_a_worker
    enqueue_in_delayed_job(DYNO: 'worker.1', QUEUE: 'q') do |env, said|
      run_program(env, '-S', 'rake', 'jobs:work', directory: app) do
        wait_for_reports('delayed_job:other', said: said)
        assert_age 90_000, reported['delayed_job:other']
      end
    end
  end

  # Rails' executor reports what is raised within it to the app's error tracker, and holds up the
  # reloading of code.
  EXECUTOR = <<~RUBY
    ActiveSupport.on_load(:before_configuration) { |app| app.config.cache_classes = %s }
    ActiveSupport.on_load(:after_initialize) do |app|
      app.executor.to_run { warn 'executor' if Thread.current.name == 'dynoscale-jobs' }
    end
  RUBY

  # How often one of three readings runs it.
  def runs_of_the_executor(cache_classes)
    enqueue_in_delayed_job(libraries: "#{DELAYED_JOB}\n#{format(EXECUTOR, cache_classes)}") do |env, said|
      log = serving(env) do
        wait_for_reports('delayed_job:other', said: said)
        wait_until('three readings') { receiver.rows.size >= 3 }
      end
      return log.scan('executor').size
    end
  end

  def test_a_reading_runs_none_of_the_apps_hooks
    assert_equal 0, runs_of_the_executor(true)
  end

  def test_if_rails_reloads_code_its_executor_is_used_once
    assert_equal 1, runs_of_the_executor(false)
  end

  def test_the_server_of_an_app_with_delayed_job
    enqueue_in_delayed_job do |env, said|
      serving(env) do
        wait_for_reports('delayed_job:other', said: said)
        assert_age 90_000, reported['delayed_job:other']
      end
    end
  end
end

# With libraries that Debian lacks, under the Rails that they come with.
class RailsGemsTest < JobTests::Case
  include RailsPrograms

  RESQUE = "require 'resque'; Resque.redis = ENV.fetch('REDIS_URL')"
  QUE = "require 'active_record/railtie'; require 'que'"

  def environment(**more)
    JobTests::Gems.environment(self, :rails)
                  .merge(reporting(**more),
                         { 'REDIS_URL' => redis.url, 'RUBYLIB' => JobTests::Child::LIBRARY })
  end

  # Those that the jobs below are in.
  def assert_both_queues(backend, said)
    mail = "#{backend}:mail"
    news = "#{backend}:news"
    wait_for_reports(mail, news, said: said)
    assert_age 90_000, reported[mail]
    assert_includes 29_950..60_000, reported[news]
    assert_equal [mail, news], reported.keys.sort
  end

  # Active Job notes the time by itself, and is all there is where the agent is off.
  RESQUE_JOBS = <<~RUBY
    require './config/environment'
    require 'active_support/testing/time_helpers'
    extend ActiveSupport::Testing::TimeHelpers
    travel(-ARGV[1].to_i) { WorkJob.set(queue: ARGV[0]).perform_later(1) }
  RUBY

  def enqueue_in_resque
    app(libraries: RESQUE, adapter: :resque)
    env = environment
    output(env.merge('DYNOSCALE_URL' => ''), '-e', RESQUE_JOBS, 'mail', '90') +
      output(env, '-e', RESQUE_JOBS, 'news', '30')
  end

  def test_the_server_of_an_app_with_resque
    said = enqueue_in_resque
    serving(environment(DYNO: 'web.1')) { assert_both_queues('resque', said) }
  end

  def test_the_worker_of_an_app_with_resque
    said = enqueue_in_resque
    env = environment(QUEUE: 'news', INTERVAL: '0.1')
    run_program(env, '-S', 'rake', 'resque:work', directory: app) do
      wait_for_reports('resque:mail', said: said)
      assert_age 90_000, reported['resque:mail']
      wait_until('its own queue is empty') { reported['resque:news']&.zero? }
    end
  end

  QUE_JOBS = <<~RUBY
    require './config/environment'
    Que.migrate!(version: Que::Migrations::CURRENT_VERSION)
    { 'mail' => 90, 'news' => 30 }.each do |queue, seconds|
      WorkJob.set(queue: queue, wait_until: Time.now - seconds).perform_later(1)
    end
  RUBY

  def enqueue_in_que(**more, &block)
    app(libraries: QUE, adapter: :que)
    enqueued_by(QUE_JOBS, **more, &block)
  end

  def test_the_server_of_an_app_with_que
    enqueue_in_que(DYNO: 'web.1') do |env, said|
      serving(env) { assert_both_queues('que', said) }
    end
  end

  def test_the_worker_of_an_app_with_que
    enqueue_in_que do |env, said|
      run_program(env, '-e', "load Gem.bin_path('que', 'que')", '--', './config/environment.rb',
                  '-q', 'news', '-i', '0.2', directory: app) do
        wait_for_reports('que:mail', said: said)
        assert_age 90_000, reported['que:mail']
      end
    end
  end
end
