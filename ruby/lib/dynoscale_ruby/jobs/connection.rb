# frozen_string_literal: true

module DynoscaleRuby
  module Jobs
    # A connection of the agent's own to a database of the app's, so that no reading holds one of the
    # app's. Opened for an ActiveRecord pool's database; the pool, its connections and its models are
    # left alone. Used by one thread at a time.
    #
    #   select(sql)   the rows, Arrays of text or of what the driver makes of a value; raises what
    #                 the driver raises
    #   missing?(e)   whether select raised it because a table is not there
    #   close         ends the connection; raises nothing
    #   forget        in a forked child: never uses or ends the connection, which is the parent's
    #   lasting?      whether it is kept from one reading to the next
    class Connection
      def self.open(pool)
        config = pool.db_config
        case config.adapter
        when /sqlite/i then SQLiteConnection.new(config.configuration_hash)
        when /postg/i then PostgresConnection.new(adapter_connection(config))
        when /mysql|trilogy/i then MySQLConnection.new(adapter_connection(config))
        else new(adapter_connection(config))
        end
      end

      # Made as the pool makes them, with the app's configuration, but not in the pool.
      def self.adapter_connection(config)
        return config.new_connection if config.respond_to?(:new_connection)

        ::ActiveRecord::Base.public_send(config.adapter_method, config.configuration_hash)
      end
      private_class_method :adapter_connection

      def initialize(connection)
        @connection = connection
      end

      # Rails does not log statements with the name SCHEMA.
      def select(sql)
        @connection.select_rows(sql, 'SCHEMA')
      end

      def missing?(_error)
        false
      end

      def close
        @connection.disconnect!
      rescue StandardError
        nil # it was broken
      end

      def forget
        @connection.discard!
      rescue StandardError
        nil
      end

      def lasting?
        true
      end

      def quoted(name)
        name.split('.').map { |part| %("#{part.delete('"')}") }.join('.')
      end
    end

    # Calls the driver, so that listeners to ActiveRecord's statements don't see the agent's.
    class PostgresConnection < Connection
      # Sets the server's time-out in the same round trip, so that it gives up a statement that
      # nobody waits for any more.
      def select(sql)
        driver.exec("SET LOCAL statement_timeout = '#{Reader::TIMEOUT}s'; #{sql}").values
      end

      def missing?(error)
        error.instance_of?(::PG::UndefinedTable)
      end

      private

      def driver
        @connection.raw_connection
      end
    end

    # A driver's connection, without ActiveRecord.
    class PGConnection < PostgresConnection
      def close
        @connection.finish
      rescue StandardError
        nil
      end

      # Keeps what the garbage collection of a connection sends from the server.
      def forget
        @connection.socket_io.reopen(IO::NULL)
      rescue StandardError
        nil
      end

      private

      def driver
        @connection
      end
    end

    # With mysql2 or trilogy.
    class MySQLConnection < Connection
      NO_SUCH_TABLE = 1146

      # Waits for a table that is being altered no longer than for the answer.
      def initialize(connection)
        super
        connection.execute("SET SESSION lock_wait_timeout = #{Reader::TIMEOUT}", 'SCHEMA')
      end

      # Uses the driver if it can return times as text.
      def select(sql)
        driver = @connection.raw_connection
        return super unless defined?(::Mysql2::Client) && driver.is_a?(::Mysql2::Client)

        driver.query(sql, as: :array, cast: false).to_a
      end

      # ActiveRecord wraps the driver's error.
      def missing?(error)
        [error, error.cause].product(%i[error_number error_code]).any? do |one, code|
          one.respond_to?(code) && one.public_send(code) == NO_SUCH_TABLE
        end
      end

      def quoted(name)
        name.split('.').map { |part| "`#{part.delete('`')}`" }.join('.')
      end
    end

    # The driver holds the interpreter's lock while SQLite waits for another process's lock, so
    # SQLite must not wait: the thread sleeps and asks again.
    class SQLiteConnection < Connection
      RETRY_SECONDS = 0.05

      # Without a file, only the app's connection has the data.
      def initialize(config) # rubocop:disable Lint/MissingSuper
        name = config[:database].to_s
        raise ArgumentError, 'a SQLite database in memory has no second connection' if
          name.empty? || name.include?(':memory:') || name.include?('mode=memory')

        path = name.start_with?('file:') ? name : File.expand_path(name, root)
        @database = ::SQLite3::Database.new(path, readonly: true)
        @database.busy_timeout(0)
      end

      def select(sql)
        @database.execute(sql)
      rescue ::SQLite3::BusyException, ::SQLite3::LockedException
        sleep RETRY_SECONDS
        retry
      end

      def missing?(error)
        error.message.start_with?('no such table')
      end

      def close
        @database.close
      rescue StandardError
        nil
      end

      # Opening a file is quick. A child must keep what it inherits for ever, see below.
      def lasting?
        false
      end

      # SQLite forbids a child to use or close it. It is kept, so that it is not garbage-collected.
      def forget
        (@@forgotten ||= []) << @database # rubocop:disable Style/ClassVars
      end

      private

      def root
        defined?(::Rails.root) && ::Rails.root ? ::Rails.root.to_s : Dir.pwd
      end
    end
  end
end
