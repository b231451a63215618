# frozen_string_literal: true

require_relative 'test_helper'
require_relative 'support/rails_app'

# The processes that a Rails app has: what serves and what works reads, nothing else does.
class RailsTest < JobTests::Case
  SIDEKIQ = "require 'sidekiq'"
  DELAYED_JOB = "require 'active_record/railtie'; require 'delayed_job_active_record'"

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

  def test_a_preloading_server_without_traffic_and_without_a_word_about_threads
    app
    enqueue(90)
    port = TCPServer.open('127.0.0.1', 0) { |socket| socket.addr[1] }
    log = run_program(environment, '-S', 'puma', '-b', "tcp://127.0.0.1:#{port}", directory: app) do
      wait_until(-> { "reports #{receiver.rows}" }) { reported['sidekiq:mail'] }
    end
    assert_age 90_000, reported['sidekiq:mail']
    refute_includes log, 'dynoscale_ruby/jobs', 'Puma does not warn of the thread'
    refute_includes log, 'Timeout stdlib thread'
  end

  def test_the_worker_of_the_app
    app
    enqueue(90)
    run_program(environment(DYNO: 'worker.1'), '-S', 'sidekiq', '-q', 'other', directory: app) do
      wait_until(-> { "reports #{receiver.rows}" }) { reported['sidekiq:mail'] }
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

  def test_a_rake_task_that_is_a_worker
    JobTests::Gems.debian(self, 'delayed_job_active_record', '>= 4.1')
    app(libraries: DELAYED_JOB, adapter: :delayed_job)
    env = environment(DYNO: 'worker.1', QUEUE: 'q',
                      DATABASE_URL: postgres.create('railstest').sub('postgres:', 'postgresql:'))
    prepare = "require './config/environment'
      ActiveRecord::Base.connection.create_table(:delayed_jobs) do |t|
        t.integer :priority, default: 0
        t.integer :attempts, default: 0
        t.text :handler, :last_error
        t.datetime :run_at, :locked_at, :failed_at
        t.string :locked_by, :queue
        t.timestamps null: true
      end
      WorkJob.set(queue: 'other', wait_until: Time.now - 90).perform_later"
    failure = output(env.merge('DYNOSCALE_URL' => ''), '-e', prepare)
    run_program(env, '-S', 'rake', 'jobs:work', directory: app) do
      wait_until(-> { "reports #{receiver.rows} #{failure}" }) { reported['delayed_job:other'] }
    end
    assert_age 90_000, reported['delayed_job:other']
  end
end
