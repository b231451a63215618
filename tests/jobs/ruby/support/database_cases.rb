# frozen_string_literal: true

require_relative '../test_helper'

# Tests for all backends that keep jobs in PostgreSQL. A class says how to load the backend, make its
# tables and enqueue a job.
module JobTests
  class DatabaseCase < Case
    COMMON = <<~'RUBY'
      ActiveRecord::Base.logger = nil
      $adapter = ADAPTER
      def ages; $adapter.queues { |names| names }; end
      def counts(signal); ages && $adapter.counts[signal].dup.to_a.to_h; end
      # As if it had just been started, on empty tables.
      def begin_anew
        tables = ActiveRecord::Base.connection.tables - %w[schema_migrations ar_internal_metadata]
        ActiveRecord::Base.connection.execute("TRUNCATE #{tables.join(',')} CASCADE")
        $adapter = ADAPTER.class.new
        nil
      end
      # Everything in the tables, in one text.
      def content
        ActiveRecord::Base.connection.tables.sort.map do |table|
          ActiveRecord::Base.connection.select_value("SELECT array_agg(t ORDER BY t)::text FROM #{table} t")
        end
      end
      # What the block gives while another has all tables for itself and a reading waits for that, and
      # what the reading gives then.
      def while_a_reading_waits
        other = PG.connect(ENV.fetch('DATABASE_URL').sub('postgres:', 'postgresql:'))
        other.exec('BEGIN')
        (ActiveRecord::Base.connection.tables - %w[schema_migrations ar_internal_metadata]).each do |table|
          other.exec("LOCK TABLE #{table} IN ACCESS EXCLUSIVE MODE")
        end
        ActiveRecord::Base.clear_active_connections!
        reading = Thread.new { ages }
        sleep 0.01 until other.exec('SELECT 1 FROM pg_locks WHERE NOT granted').any?
        given = yield(reading)
        other.exec('ROLLBACK')
        [given, reading.value]
      ensure
        other&.close
      end
      def statements
        seen = []
        subscriber = ActiveSupport::Notifications.subscribe('sql.active_record') do |*, payload|
          seen << payload[:sql]
        end
        yield
        seen
      ensure
        ActiveSupport::Notifications.unsubscribe(subscriber)
      end
    RUBY

    class << self
      # One for all tests that need nothing of their own: starting Rails takes the most time.
      attr_accessor :shared
    end

    # A child of this backend with its tables, which are empty.
    def backend(port: nil, **env)
      return own(port, env) if port || env.any?

      self.class.shared ||= own(nil, {}).tap do |child|
        @children.delete(child)
        Minitest.after_run { child.kill }
      end
      self.class.shared.tap { |child| child.run('begin_anew') }
    end

    def own(port, env)
      url = database.sub(%r{:\d+/}, ":#{port || postgres.port}/")
      child(self.class::LOAD + COMMON + 'begin_anew',
            env: gems.merge('DATABASE_URL' => url, **env.transform_keys(&:to_s)))
    end

    def database
      gems # skips before there is a database for nothing
      self.class.instance_variable_get(:@database) ||
        self.class.instance_variable_set(:@database, postgres.create(self.class.name.downcase))
    end
  end

  module DatabaseCases
    def test_the_age_is_that_of_the_oldest_job
      child = backend
      child.run("put('default', 60); put('default', 90); put('default', 70); put('low', 5)")
      ages = child.run('ages')
      assert_equal %w[default low], ages.keys.sort
      assert_age 90_000, ages['default']
      assert_age 5_000, ages['low']
    end

    def test_the_depth_is_the_number_of_jobs_that_are_ready
      child = backend
      child.run("put('default', 60); put('default', 90); put('default', 70); put('low', 5)")
      assert_equal({ 'default' => 3, 'low' => 1 }, child.run("counts('depth')"))
      child.run('clear')
      child.run('ages')
      assert_equal 0, child.run("$adapter.counts['depth']['default']")
    end

    def test_jobs_that_are_worked_on_are_counted_and_are_not_ready
      child = backend
      child.run("put('q', 90); put('q', 60); put('q', 5); put('low', 5); take('q'); take('q'); nil")
      assert_equal({ 'q' => 2, 'low' => 0 }, child.run("counts('working')"))
      assert_equal({ 'q' => 1, 'low' => 1 }, child.run("counts('depth')"))
      assert_age 5_000, child.run('ages')['q']
      child.run("take('q'); nil")
      assert_equal [3, 0], child.run("%w[working depth].map { |signal| counts(signal)['q'] }")
      assert_equal 0, child.run("ages['q']")
      child.run('clear')
      child.run('ages')
      assert_equal 0, child.run("$adapter.counts['working']['q']")
    end

    def test_an_empty_queue_that_is_known_is_zero
      child = backend
      assert_equal({}, child.run('ages'))
      child.run("put('default', 90)")
      assert_age 90_000, child.run('ages')['default']
      child.run('clear')
      assert_equal({ 'default' => 0 }, child.run('ages'))
    end

    def test_a_job_that_is_not_due_does_not_count
      child = backend
      child.run("put('later', -3600); put('default', 30); put('default', -3600)")
      ages = child.run('ages')
      assert_age 30_000, ages['default']
      assert_includes [nil, 0], ages['later']
    end

    def test_names_of_any_kind
      child = backend
      names = ['a,b', 'a "b"', "it's", 'ärger 仕事', "two\nlines", '100%?', 'x' * 200]
      child.run("#{names.inspect}.each { |name| put(name, 9) }; nil")
      assert_equal names.sort, child.run('ages').keys.sort
    end

    def test_the_round_trips_do_not_grow_with_the_queues_and_nothing_is_changed
      @proxy = JobTests::Proxy.new(postgres.port)
      child = backend(port: @proxy.port)
      child.run("put('q', 9); ages")
      turns = [1, 40].map do |queues|
        child.run("#{queues}.times { |i| put(\"q\#{i}\", i + 1) }; nil")
        before = child.run('content')
        @proxy.turns
        assert_operator child.run('ages').size, :>, queues
        turns = @proxy.turns
        assert_equal before, child.run('content')
        turns
      end
      assert_operator turns.first, :<=, 3
      assert_equal turns.first, turns.last
    end

    # With its own time-out, and the tables' own indexes.
    def test_a_long_backlog_is_read_in_time
      child = backend
      child.run("put('q1', 9000); ActiveRecord::Base.connection.execute(#{self.class::BACKLOG.inspect}); nil")
      ages = child.run('ages')
      assert_equal Array.new(20) { |i| "q#{i}" }.sort, ages.keys.sort
      assert_age 9_000_000, ages['q1']
    end

    def test_a_reading_that_waits_holds_no_connection_of_the_apps
      child = backend
      child.run("put('default', 90); ages")
      held, ages = child.run('while_a_reading_waits do |reading|
        ActiveRecord::Base.connection_pool.connections.any? { |c| c.owner == reading }
      end')
      refute held
      assert_age 90_000, ages['default']
    end

    def test_nobody_who_listens_to_the_apps_statements_hears_of_a_reading
      child = backend
      child.run("put('default', 90); ages")
      assert_empty child.run('statements { 3.times { ages } }')
    end

    # As where the reader's thread has been started. The second number tells its connection.
    READ = <<~'RUBY'
      Process.singleton_class.prepend(DynoscaleRuby::Jobs::Forks)
      def read
        age = ADAPTER.queues { |names| names }['default'].to_i
        [age, ADAPTER.instance_variable_get(:@connection).select('SELECT pg_backend_pid()')[0][0].to_i]
      end
      # What the block gives in a forked child.
      def in_child
        reader, writer = IO.pipe
        fork do
          $stdin.reopen(File::NULL)
          writer.puts(yield.join(' '))
          writer.close
          exit
        end
        writer.close
        Process.wait
        reader.read.split.map(&:to_i)
      end
    RUBY

    def test_a_forked_child_leaves_the_connection_to_its_parent
      child = backend
      child.run("#{READ}; put('default', 90); nil")
      age, connection = child.run('read')
      assert_age 90_000, age
      assert_empty child.run('in_child { GC.start && [] }')
      theirs, other = child.run('in_child { read }')
      assert_age 90_000, theirs
      refute_equal connection, other
      assert_equal connection, child.run('read')[1]
    end

    def test_a_database_that_does_not_answer_is_given_up_and_the_connection_not_used_again
      @proxy = JobTests::Proxy.new(postgres.port)
      child = backend(port: @proxy.port)
      child.run("put('default', 9); Thread.new { ages }.value")
      @proxy.silent!
      error = assert_raises(JobTests::Child::Failure) do
        child.run('READER = Thread.new do
          Thread.current.report_on_exception = false
          Timeout.timeout(0.5, DynoscaleRuby::Jobs::Reader::Expired) { ages }
        end
        READER.value')
      end
      assert_match(/Expired/, error.message)
      assert_nil child.run('$adapter.instance_variable_get(:@connection)')
    end

    # A web process without traffic.
    def test_it_is_reported
      child = backend(**reporting(DYNO: 'web.1'))
      child.run("require 'dynoscale_ruby/middleware'; put('default', 90); put('a,\"b', 7); " \
                'DynoscaleRuby::Middleware.new(->(_) {}); nil')
      backend = self.class::BACKEND
      wait_until(-> { "reports: #{receiver.rows} #{child.log}" }) { reported.key?("#{backend}:default") }
      assert_age 90_000, reported["#{backend}:default"]
      assert_age 7_000, reported["#{backend}:a,\"b"]
      child.run('clear')
      wait_until('0') { reported["#{backend}:default"].zero? }
    end
  end
end
