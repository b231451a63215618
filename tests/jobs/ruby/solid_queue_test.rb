# frozen_string_literal: true

require_relative 'support/database_cases'
require_relative 'support/rails_app'

class SolidQueueTest < JobTests::DatabaseCase
  include JobTests::DatabaseCases

  BACKEND = 'solid_queue'
  BACKLOG = <<~SQL
    WITH jobs AS (
      INSERT INTO solid_queue_jobs (queue_name, class_name, scheduled_at, created_at, updated_at)
      SELECT 'q' || n % 20, 'W', now() - n * interval '1 ms', now(), now()
      FROM generate_series(1, 100000) n RETURNING id, queue_name)
    INSERT INTO solid_queue_ready_executions (job_id, queue_name, created_at)
      SELECT id, queue_name, now() FROM jobs
  SQL
  LIBRARIES = "require 'active_record/railtie'; require 'solid_queue'"
  CONFIGURATION = 'config.active_job.queue_adapter = :solid_queue'
  LOAD = <<~RUBY
    require ENV.fetch('APP') + '/config/environment'
    ActiveRecord::Migration.verbose = false
    unless ActiveRecord::Base.connection.table_exists?('solid_queue_jobs')
      load Gem.loaded_specs['solid_queue'].gem_dir +
        '/lib/generators/solid_queue/install/templates/db/queue_schema.rb'
    end
    ADAPTER = DynoscaleRuby::Jobs.adapters.fetch('solid_queue')
    def put(queue, seconds_ago)
      job = WorkJob.set(queue: queue, **(seconds_ago.negative? ? { wait: -seconds_ago } : {}))
                   .perform_later
      return if seconds_ago.negative?
      at = Time.current - seconds_ago
      row = SolidQueue::Job.find_by!(active_job_id: job.job_id)
      row.update_columns(scheduled_at: at, created_at: at)
      row.ready_execution.update_columns(created_at: at)
    end
    def clear
      [SolidQueue::ReadyExecution, SolidQueue::ScheduledExecution, SolidQueue::ClaimedExecution].sum(&:delete_all)
    end
    # As a worker does, with the oldest job that is ready.
    def take(queue)
      worker = SolidQueue::Process.register(kind: 'Worker', pid: 1, name: "worker-\#{rand}")
      SolidQueue::ReadyExecution.claim([queue], 1, worker.id)
    end
  RUBY

  def app
    JobTests::RailsApp.shared(libraries: LIBRARIES, configuration: CONFIGURATION)
  end

  def gems
    JobTests::Gems.environment(self, :rails).merge('APP' => app)
  end

  def test_a_scheduled_job_counts_from_when_it_was_due_dispatched_or_not
    child = backend
    child.run("put('q', -3600); SolidQueue::ScheduledExecution.update_all(scheduled_at: Time.current - 40)
               SolidQueue::Job.update_all(scheduled_at: Time.current - 40, created_at: Time.current - 99)")
    assert_age 40_000, child.run('ages')['q']
    child.run('SolidQueue::ScheduledExecution.dispatch_next_batch(10)')
    assert_equal 1, child.run('SolidQueue::ReadyExecution.count')
    assert_age 40_000, child.run('ages')['q']
  end

  # As at a deploy.
  def test_a_job_that_a_worker_lets_go_counts_from_then
    child = backend
    child.run("put('q', 3600)
               PROCESS = SolidQueue::Process.register(kind: 'Worker', pid: 1, name: 'worker')
               SolidQueue::ReadyExecution.claim('*', 1, PROCESS.id)")
    assert_equal [0, 1], child.run('[SolidQueue::ReadyExecution, SolidQueue::ClaimedExecution].map(&:count)')
    child.run('PROCESS.deregister')
    assert_equal [1, 0], child.run('[SolidQueue::ReadyExecution, SolidQueue::ClaimedExecution].map(&:count)')
    assert_age 0, child.run('ages')['q']
  end

  # The table does not tell it from one that has just been dispatched.
  def test_a_job_for_later_that_a_worker_lets_go_counts_from_when_it_was_first_due
    child = backend
    child.run("put('q', -3600); SolidQueue::ScheduledExecution.update_all(scheduled_at: Time.current - 40)
               SolidQueue::Job.update_all(scheduled_at: Time.current - 40, created_at: Time.current - 99)
               SolidQueue::ScheduledExecution.dispatch_next_batch(10)
               PROCESS = SolidQueue::Process.register(kind: 'Worker', pid: 1, name: 'worker')
               SolidQueue::ReadyExecution.claim('*', 1, PROCESS.id)")
    assert_empty child.run('ages')
    child.run('PROCESS.deregister')
    assert_age 40_000, child.run('ages')['q']
  end

  def test_a_job_for_now_is_due_when_it_is_made
    child = backend
    child.run('WorkJob.perform_later; ActiveJob.perform_all_later([WorkJob.new, WorkJob.new]); nil')
    assert_equal 3, child.run("SolidQueue::Job.where('scheduled_at <= created_at').count")
  end

  def test_a_job_whose_concurrency_is_limited_counts_from_when_it_was_let_through
    child = backend
    child.run("class OneJob < WorkJob; limits_concurrency to: 1, key: 'k'; end
               2.times { OneJob.set(queue: 'q').perform_later }
               SolidQueue::Job.update_all(scheduled_at: Time.current - 500)
               SolidQueue::ReadyExecution.update_all(created_at: Time.current - 3)")
    assert_equal 1, child.run('SolidQueue::BlockedExecution.count')
    assert_includes 2_950..25_000, child.run('ages')['q']
  end

  def test_a_paused_queue_is_recognised
    child = backend
    child.run("put('default', 90); put('low', 90); SolidQueue::Queue.new('low').pause")
    ages = child.run('ages')
    assert_nil ages.fetch('low')
    assert_age 90_000, ages['default']
    child.run("SolidQueue::Queue.new('low').resume")
    assert_age 90_000, child.run('ages')['low']
  end

  def test_finished_jobs_are_not_read
    child = backend
    child.run(<<~RUBY)
      ActiveRecord::Base.connection.execute("INSERT INTO solid_queue_jobs
        (queue_name, class_name, finished_at, created_at, updated_at)
        SELECT 'q', 'WorkJob', now(), now(), now() FROM generate_series(1, 20000)")
      put('q', 9)
      ActiveRecord::Base.connection.execute('ANALYZE')
      nil
    RUBY
    sql = child.run("'EXPLAIN ' + $adapter.send(:filled, DynoscaleRuby::Jobs::SolidQueue::STATEMENT, Time.now)")
    plan = child.run("ActiveRecord::Base.connection.execute(#{sql.inspect}).values.join")
    refute_includes plan, 'Seq Scan on solid_queue_jobs'
  end

  # The supervisor has the thread; the processes that it forks have none.
  def test_the_worker_starts_it
    backend.run("put('q', 90); put('other', 80)")
    env = gems.merge(reporting, 'DATABASE_URL' => database, 'RUBYLIB' => JobTests::Child::LIBRARY)
    JobTests::RailsApp.write(app, 'config/queue.yml', <<~YAML)
      production:
        dispatchers: [{ polling_interval: 1 }]
        workers: [{ queues: q, threads: 1, polling_interval: 0.1 }]
    YAML
    run_program(env, '-e', "require '#{app}/config/environment'; SolidQueue::Supervisor.start",
                directory: app) do |pid|
      wait_until(-> { "reports #{receiver.rows}" }) { reported['solid_queue:other'] }
      assert_age 80_000, reported['solid_queue:other']
      wait_until('both of its processes run') { forked_by(pid).count { |child| runs?(child) } == 2 }
      assert reader?(pid)
      refute(forked_by(pid).any? { |child| reader?(child) })
    end
  end

  def forked_by(pid)
    File.read("/proc/#{pid}/task/#{pid}/children").split
  end

  # As it calls itself once it does.
  def runs?(pid)
    File.read("/proc/#{pid}/cmdline").match?(/solid-queue-(?:worker|dispatcher)/)
  end

  def reader?(pid)
    Dir["/proc/#{pid}/task/*/comm"].any? { |name| File.read(name) == "dynoscale-jobs\n" }
  end
end
