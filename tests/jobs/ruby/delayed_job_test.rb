# frozen_string_literal: true

require_relative 'support/database_cases'

# Each test with each Delayed Job that is available.
module DelayedJobCases
  include JobTests::DatabaseCases

  BACKEND = 'delayed_job'
  BACKLOG = <<~SQL
    INSERT INTO delayed_jobs (handler, queue, run_at)
      SELECT 'x', 'q' || n % 20, now() - n * interval '1 ms' FROM generate_series(1, 100000) n
  SQL
  BODY = <<~RUBY
    require 'pg'
    require 'active_record'
    ActiveRecord::Base.establish_connection(ENV.fetch('DATABASE_URL'))
    require 'delayed_job_active_record'
    require 'dynoscale_ruby'
    Delayed::Worker.logger = Logger.new(nil)
    ActiveRecord::Base.connection.create_table(:delayed_jobs, if_not_exists: true) do |t|
      t.integer :priority, default: 0, null: false
      t.integer :attempts, default: 0, null: false
      t.text :handler, null: false
      t.text :last_error
      t.datetime :run_at
      t.datetime :locked_at
      t.datetime :failed_at
      t.string :locked_by
      t.string :queue
      t.timestamps null: true
      t.index %i[priority run_at]
    end
    ADAPTER = DynoscaleRuby::Jobs.adapters.fetch('delayed_job')
    class Work
      def perform; end
    end
    def put(queue, seconds_ago)
      Delayed::Job.enqueue(Work.new, queue: queue, run_at: Time.now - seconds_ago)
    end
    def clear = Delayed::Job.delete_all
    # As a worker does, with the oldest job that is ready.
    def take(queue)
      worker = Delayed::Worker.new(queues: [queue])
      worker.name = "worker \#{rand}"
      Delayed::Job.reserve(worker) or raise 'no job'
    end
  RUBY

  def test_a_job_without_a_queue_is_in_the_default_one
    child = backend
    child.run('put(nil, 30)')
    assert_age 30_000, child.run('ages').fetch('default')
    child.run("Delayed::Worker.default_queue_name = 'main'")
    assert_age 30_000, child.run('ages').fetch('main')
  ensure
    child&.run('Delayed::Worker.default_queue_name = nil')
  end

  def test_a_job_that_failed_or_is_being_worked_does_not_count
    child = backend
    child.run("put('q', 90).update!(failed_at: Time.now); put('q', 80).update!(locked_at: Time.now); " \
              "put('q', 5)")
    assert_includes 4_950..25_000, child.run('ages')['q']
  end

  def test_a_time_that_is_none_hides_its_own_queue_alone
    child = backend(**reporting)
    child.run("put('bad', 90); put('good', 60); put(nil, 60); put('default', 30)
               ActiveRecord::Base.connection.execute(\"UPDATE delayed_jobs SET run_at = '-infinity' \" \\
                 \"WHERE queue IN ('bad', 'default')\")
               DynoscaleRuby::Middleware.new(->(_) {}); nil")
    wait_until(-> { "reports #{child.log}" }) { reported['delayed_job:good'] }
    assert_age 60_000, reported['delayed_job:good']
    refute_includes reported.keys, 'delayed_job:bad'
    refute_includes reported.keys, 'delayed_job:default'
  end

  def test_a_job_whose_worker_must_have_died_counts_again
    child = backend
    child.run("put('q', 90_000).update!(locked_at: Time.now - Delayed::Worker.max_run_time - 1)")
    assert_age 90_000_000, child.run('ages')['q']
  end

  def test_a_retry_counts_from_when_it_became_due
    child = backend
    child.run("put('q', 9000).update!(attempts: 3, run_at: Time.now - 20, last_error: 'x')")
    assert_includes 19_950..40_000, child.run('ages')['q']
  end

  def test_without_its_table_nothing_is_reported
    child = backend
    child.run('ActiveRecord::Base.connection.rename_table(:delayed_jobs, :away)')
    assert_equal({}, child.run('ages'))
    child.run("ActiveRecord::Base.connection.rename_table(:away, :delayed_jobs); put('q', 9)")
    assert_age 9_000, child.run('ages')['q']
  end

  # The app may be about to change it, and would learn of the new columns too late.
  def test_the_apps_model_learns_nothing_of_its_table
    child = backend
    child.run("put('q', 90); Delayed::Job.reset_column_information; ages")
    refute child.run('Delayed::Job.send(:schema_loaded?)')
    refute child.run('ActiveRecord::Base.connection.schema_cache.cached?("delayed_jobs")') if
      child.run('ActiveRecord::Base.connection.schema_cache.respond_to?(:cached?)')
  end

  def test_times_are_read_as_active_record_writes_them
    child = backend(TZ: 'America/New_York')
    child.run("put('utc', 90)")
    assert_age 90_000, child.run('ages')['utc']
    child.run("zoned = [ActiveRecord, ActiveRecord::Base].find { |one| one.respond_to?(:default_timezone=) }
               zoned.default_timezone = :local
               ActiveRecord::Base.connection_pool.disconnect!; $adapter.close; put('local', 60)")
    assert_age 60_000, child.run('ages')['local']
  end

  # As with Mongoid: there is no connection of ActiveRecord's to borrow.
  def test_another_backend_than_active_record_reports_nothing
    child = backend(DYNO: 'web.1')
    child.run("put('q', 90); Delayed::Worker.backend = Class.new { extend Delayed::Backend::Base::ClassMethods }")
    assert_equal({}, child.run('ages'))
  end

  def test_the_worker_starts_it
    child = backend(**reporting)
    child.run("put('q', 90); put('other', 80)
               THREAD = Thread.new { Delayed::Worker.new(queues: %w[q], sleep_delay: 0.2).start }; nil")
    wait_until(-> { "reports #{child.log}" }) { reported['delayed_job:other'] }
    assert_age 80_000, reported['delayed_job:other']
  end
end

class DelayedJobDebianTest < JobTests::DatabaseCase
  include DelayedJobCases
  LOAD = "gem 'activerecord', '>= 6.1'\n#{BODY}"

  def gems
    JobTests::Gems.debian(self, 'pg', '>= 1')
    JobTests::Gems.debian(self, 'delayed_job_active_record', '>= 4.1')
  end
end

class DelayedJobMySQLTest < JobTests::Case
  LOAD = "gem 'activerecord', '>= 6.1'\n#{DelayedJobCases::BODY}"
         .sub("require 'pg'", "require 'mysql2'") + <<~RUBY
           def ages = ADAPTER.queues { |names| names }
           def database = ActiveRecord::Base.connection
         RUBY

  # The app's time zone is none of the server's, nor of the machine's.
  def backend
    JobTests::Gems.debian(self, 'mysql2', '>= 0.5')
    gems = JobTests::Gems.debian(self, 'delayed_job_active_record', '>= 4.1')
    server = JobTests::MariaDBServer.shared(self)
    prepare = "require 'mysql2'; client = Mysql2::Client.new(host: '127.0.0.1', port: #{server.port}, username: 'root')
               client.query('DROP DATABASE IF EXISTS jobs'); client.query('CREATE DATABASE jobs')"
    child(prepare, env: gems)
    child(LOAD, env: gems.merge('DATABASE_URL' => server.url('jobs'), 'TZ' => 'Asia/Tokyo'))
  end

  def test_the_age_is_that_of_the_oldest_job
    child = backend
    child.run("put('default', 60); put('default', 90); put('low', 5); put('later', -3600)")
    ages = child.run('ages')
    assert_age 90_000 - 1_000, ages['default'] # its table has whole seconds
    assert_age 5_000 - 1_000, ages['low']
    child.run('clear')
    assert_equal({ 'default' => 0, 'low' => 0 }, child.run('ages'))
  end

  def test_without_its_table_nothing_is_reported
    child = backend
    child.run('database.rename_table(:delayed_jobs, :away)')
    assert_equal({}, child.run('ages'))
    child.run("database.rename_table(:away, :delayed_jobs); put('q', 9); ages
               database.rename_table(:delayed_jobs, :away)")
    assert_raises(JobTests::Child::Failure) { child.run('ages') }
  end

  def test_a_forked_child_leaves_the_connection_to_its_parent
    child = backend
    child.run("Process.singleton_class.prepend(DynoscaleRuby::Jobs::Forks); put('q', 9); ages
               def id = ADAPTER.instance_variable_get(:@connection).select('SELECT CONNECTION_ID()')")
    before = child.run('id')
    child.run('2.times { Process.wait(fork { $stdin.reopen(File::NULL); GC.start; exit }) }')
    assert_age 8_000, child.run('ages')['q']
    assert_equal before, child.run('id')
  end
end

# One process at a time writes to it, and others wait.
class DelayedJobSQLiteTest < JobTests::Case
  LOAD = "gem 'activerecord', '>= 6.1'\n#{DelayedJobCases::BODY}"
         .sub("require 'pg'", "require 'sqlite3'") + <<~RUBY
           def ages = ADAPTER.queues { |names| names }
         RUBY

  def setup
    super
    @directory = Dir.mktmpdir('dynoscale')
  end

  def teardown
    super
    FileUtils.rm_rf(@directory)
  end

  def file
    File.join(@directory, 'db.sqlite3')
  end

  # SQLite itself would wait for a minute.
  def backend(name = file)
    JobTests::Gems.debian(self, 'sqlite3', '>= 1.4')
    gems = JobTests::Gems.debian(self, 'delayed_job_active_record', '>= 4.1')
    child(LOAD, env: gems.merge('DATABASE_URL' => "sqlite3:#{name}?timeout=60000"))
  end

  def test_the_age_is_that_of_the_oldest_job
    child = backend
    child.run("put('default', 60); put('default', 90); put('low', 5); put('later', -3600)")
    ages = child.run('ages')
    assert_age 90_000, ages['default']
    assert_age 5_000, ages['low']
    child.run('clear')
    assert_equal({ 'default' => 0, 'low' => 0 }, child.run('ages'))
  end

  def test_without_its_table_nothing_is_reported
    child = backend
    child.run('ActiveRecord::Base.connection.rename_table(:delayed_jobs, :away)')
    assert_equal({}, child.run('ages'))
  end

  def test_no_thread_stands_still_while_another_process_has_the_database
    child = backend
    child.run("put('default', 90); ages")
    still, ages = child.run(<<~RUBY)
      other, theirs = IO.pipe
      ours, go = IO.pipe
      pid = fork do
        go.close
        database = SQLite3::Database.new(#{file.inspect})
        database.execute('BEGIN EXCLUSIVE')
        theirs.puts
        ours.gets
        exit!
      end
      other.gets
      reading = Thread.new { ages }
      100.times { sleep 0.001 }
      still = reading.alive?
      go.puts
      Process.wait(pid)
      [still, reading.value]
    RUBY
    assert still, 'the reading waits while this thread goes on'
    assert_age 90_000, ages['default']
  end

  # A child would have to keep it for ever.
  def test_between_two_readings_the_file_is_closed
    child = backend
    child.run("put('default', 90); ages; ActiveRecord::Base.connection_pool.disconnect!")
    opened = child.run('Dir["/proc/self/fd/*"].filter_map { |fd| File.readlink(fd) rescue nil }')
    refute_includes opened, File.realpath(file)
  end

  def test_a_database_in_memory_can_not_be_read_and_says_why
    error = assert_raises(JobTests::Child::Failure) { backend(':memory:').run('ages') }
    assert_match(/a SQLite database in memory has no second connection/, error.message)
  end
end

class DelayedJobNewestTest < JobTests::DatabaseCase
  include DelayedJobCases
  LOAD = "gem 'activerecord', '~> 7.2.0'\n#{BODY}"

  def gems
    JobTests::Gems.environment(self, :rails)
  end
end
