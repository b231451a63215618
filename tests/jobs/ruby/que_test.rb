# frozen_string_literal: true

require_relative 'support/database_cases'

class QueTest < JobTests::DatabaseCase
  include JobTests::DatabaseCases

  BACKEND = 'que'
  BACKLOG = <<~SQL
    INSERT INTO que_jobs (queue, job_class, job_schema_version, run_at)
      SELECT 'q' || n % 20, 'Work', 2, now() - n * interval '1 ms' FROM generate_series(1, 100000) n
  SQL
  LOAD = <<~RUBY
    require 'pg'
    require 'active_record'
    ActiveRecord::Base.establish_connection(ENV.fetch('DATABASE_URL'))
    require 'que'
    require 'dynoscale_ruby'
    Que.connection = ActiveRecord
    Que.logger = nil
    ActiveRecord::Base.logger = nil
    Que.migrate!(version: Que::Migrations::CURRENT_VERSION)
    ADAPTER = DynoscaleRuby::Jobs.adapters.fetch('que')
    class Work < Que::Job
      def run(*); end
    end
    def put(queue, seconds_ago)
      Work.enqueue(job_options: { queue: queue, run_at: Time.now - seconds_ago })
    end
    def clear = Que.execute('DELETE FROM que_jobs')
    # As a worker does, with the oldest job that is ready.
    def take(queue)
      $taker ||= PG.connect(ENV.fetch('DATABASE_URL'))
      $taken ||= []
      rows = Que.execute('SELECT id FROM que_jobs WHERE queue = $1 ORDER BY run_at', [queue])
      $taken << (rows.map { |row| row[:id] } - $taken).fetch(0)
      $taker.exec("SELECT pg_advisory_lock(\#{$taken.last})")
    end
  RUBY

  def gems
    JobTests::Gems.environment(self, :rails)
  end

  # Que's own limit.
  def test_names_of_any_kind
    child = backend
    names = ['a,b', 'a "b"', "it's", 'ärger 仕事', "two\nlines", '100%?', 'x' * 100]
    child.run("#{names.inspect}.each { |name| put(name, 9) }; nil")
    assert_equal names.sort, child.run('ages').keys.sort
  end

  def test_a_job_that_is_locked_finished_or_given_up_does_not_count
    child = backend
    child.run(<<~RUBY)
      3.times { |i| put('q', 90 + i) }
      put('q', 5)
      ids = Que.execute("SELECT id FROM que_jobs ORDER BY run_at").map { |row| row[:id] }
      Que.execute("UPDATE que_jobs SET finished_at = now() WHERE id = \#{ids[0]}")
      Que.execute("UPDATE que_jobs SET expired_at = now() WHERE id = \#{ids[1]}")
      LOCKED = PG.connect(ENV.fetch('DATABASE_URL'))
      LOCKED.exec("SELECT pg_advisory_lock(\#{ids[2]})")
      nil
    RUBY
    assert_includes 4_950..25_000, child.run('ages')['q']
    child.run('LOCKED.close; nil')
    wait_until('the lock is gone') { child.run('ages')['q'] > 85_000 }
  end

  def test_a_retry_counts_from_when_it_became_due
    child = backend
    child.run("put('q', 9000); Que.execute(\"UPDATE que_jobs SET error_count = 3, " \
              "run_at = now() - interval '20 s'\")")
    assert_includes 19_950..40_000, child.run('ages')['q']
  end

  def test_finished_jobs_are_not_read
    child = backend
    child.run(<<~RUBY)
      Que.execute("INSERT INTO que_jobs (queue, job_class, job_schema_version, finished_at)
        SELECT 'q', 'Work', 2, now() FROM generate_series(1, 20000)")
      put('q', 9)
      Que.execute('ANALYZE que_jobs')
      nil
    RUBY
    sql = child.run('DynoscaleRuby::Jobs::Que::AGES').sub('SELECT', 'EXPLAIN SELECT')
    plan = child.run("Que.execute(#{sql.inspect}).map(&:values).join")
    assert_includes plan, 'que_poll_idx'
    refute_includes plan, 'Seq Scan on que_jobs'
  end

  def test_the_worker_starts_it
    child = backend(**reporting)
    child.run("put('q', 90); put('other', 80)
               LOCKER = Que::Locker.new(queues: ['q'], poll_interval: 0.2); nil")
    wait_until(-> { "reports #{child.log}" }) { reported['que:other'] }
    assert_age 80_000, reported['que:other']
    wait_until('its job is done') do
      child.run("Que.execute('SELECT 1 FROM que_jobs WHERE queue = $1', ['q']).empty?")
    end
    child.run('LOCKER.stop!; nil')
  end
end
