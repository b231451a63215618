# frozen_string_literal: true

require_relative 'support/database_cases'
require_relative 'support/rails_app'

class GoodJobTest < JobTests::DatabaseCase
  include JobTests::DatabaseCases

  BACKEND = 'good_job'
  BACKLOG = <<~SQL
    INSERT INTO good_jobs (id, queue_name, scheduled_at, created_at, updated_at)
      SELECT gen_random_uuid(), 'q' || n % 20, now() - n * interval '1 ms', now(), now()
      FROM generate_series(1, 100000) n
  SQL
  LIBRARIES = "require 'active_record/railtie'; require 'good_job'"
  CONFIGURATION = <<~RUBY
    config.active_job.queue_adapter = :good_job
    config.good_job.execution_mode = :external
    config.good_job.enable_pauses = true
    config.good_job.logger = Logger.new(nil)
  RUBY
  LOAD = <<~RUBY
    require ENV.fetch('APP') + '/config/environment'
    require 'erb'
    ActiveRecord::Migration.verbose = false
    unless ActiveRecord::Base.connection.table_exists?('good_jobs')
      template = Dir[Gem.loaded_specs['good_job'].gem_dir +
        '/lib/generators/good_job/templates/install/migrations/create_good_jobs.rb.erb'].first
      migration_version = '[7.2]'
      eval(ERB.new(File.read(template)).result(binding))
      CreateGoodJobs.new.change
    end
    ADAPTER = DynoscaleRuby::Jobs.adapters.fetch('good_job')
    def put(queue, seconds_ago)
      WorkJob.set(queue: queue, wait_until: Time.current - seconds_ago).perform_later
    end
    def clear = GoodJob::Job.delete_all
    # As a worker does, with the oldest job that is ready.
    def take(queue)
      GoodJob::Job.where(queue_name: queue, performed_at: nil).order(:scheduled_at).first!
                  .update!(performed_at: Time.current)
    end
  RUBY

  def app
    JobTests::RailsApp.shared(libraries: LIBRARIES, configuration: CONFIGURATION)
  end

  def gems
    JobTests::Gems.environment(self, :rails).merge('APP' => app)
  end

  def test_a_job_that_was_begun_or_finished_does_not_count
    child = backend
    child.run("put('q', 90); put('q', 80); put('q', 5)
               GoodJob::Job.order(:scheduled_at).first.update!(performed_at: Time.now)
               GoodJob::Job.order(:scheduled_at).second.update!(finished_at: Time.now, performed_at: Time.now)")
    assert_includes 4_950..25_000, child.run('ages')['q']
  end

  def test_a_paused_queue_is_recognised
    child = backend
    child.run("put('default', 90); put('low', 90); GoodJob.pause(queue: 'low')")
    ages = child.run('ages')
    assert_nil ages.fetch('low')
    assert_age 90_000, ages['default']
  end

  def test_a_paused_class_does_not_count
    child = backend
    child.run("class OtherJob < WorkJob; end
               put('q', 90); OtherJob.set(queue: 'q', wait_until: Time.current - 5).perform_later
               GoodJob.pause(job_class: 'WorkJob')")
    assert_includes 4_950..25_000, child.run('ages')['q']
  end

  def test_finished_jobs_are_not_read
    child = backend
    child.run(<<~RUBY)
      ActiveRecord::Base.connection.execute("INSERT INTO good_jobs
        (id, queue_name, finished_at, performed_at, created_at, updated_at)
        SELECT gen_random_uuid(), 'q', now(), now(), now(), now() FROM generate_series(1, 20000)")
      put('q', 9)
      ActiveRecord::Base.connection.execute('ANALYZE good_jobs')
      nil
    RUBY
    sql = child.run("$adapter.send(:statement).sub('SELECT', 'EXPLAIN SELECT')")
    plan = child.run("ActiveRecord::Base.connection.execute(#{sql.inspect}).values.join")
    refute_includes plan, 'Seq Scan on good_jobs'
  end

  def test_the_worker_starts_it
    backend.run("put('q', 90); put('other', 80)")
    env = gems.merge(reporting, 'DATABASE_URL' => database, 'RUBYLIB' => JobTests::Child::LIBRARY)
    run_program(env, '-e', "load Gem.bin_path('good_job', 'good_job')", '--',
                'start', '--queues=q', directory: app) do
      wait_until(-> { "reports #{receiver.rows}" }) { reported['good_job:other'] }
      assert_age 80_000, reported['good_job:other']
    end
  end
end
