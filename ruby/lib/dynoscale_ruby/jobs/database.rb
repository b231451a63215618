# frozen_string_literal: true

module DynoscaleRuby
  module Jobs
    # What the backends that keep jobs in a database have in common: a connection of the app's, and
    # a memory for queues. A queue without jobs leaves no trace in the table: those that had some
    # before are known to be empty. A subclass has `model` and `read(connection)`.
    class Database
      MOST_KNOWN = 1000

      def initialize
        @known = {}
      end

      # Without its table a library is there, but not in use.
      def queues
        executing do
          on_connection { |connection| installed?(connection) ? read(connection) : {} }
        end
      end

      private

      # Asked until it is: an app may be started before its tables are made.
      def installed?(connection)
        @installed ||= connection.data_source_exists?(model.table_name)
      end

      def on_connection
        pool = model.connection_pool
        pool.with_connection do |connection|
          yield connection
        rescue Exception => e # rubocop:disable Lint/RescueException
          # Timed out or killed: its answer would be taken for that of the app's next statement.
          connection.throw_away! unless e.is_a?(::ActiveRecord::ActiveRecordError)
          raise
        end
      ensure
        pool&.release_connection # what asks a model for something can hold on to it
      end

      # As Rails asks of threads that are not its own.
      def executing(&block)
        return yield unless defined?(::Rails.application.executor) && ::Rails.application

        ::Rails.application.executor.wrap(&block)
      end

      # The statement's rows. SCHEMA is the name under which Rails does not log it. PostgreSQL, told
      # in the same round trip, gives up a statement that nobody waits for any more.
      def rows(connection, statement)
        return connection.select_rows(statement, 'SCHEMA') unless
          connection.adapter_name.match?(/postg/i)

        connection.execute("SET LOCAL statement_timeout = '#{Reader::TIMEOUT}s'; #{statement}",
                           'SCHEMA').values
      end

      # Puts the values, quoted, into the places of the statement's question marks.
      def filled(statement, *values)
        model.sanitize_sql_array([statement, *values])
      end

      # A Time of what the database says in one of the model's columns.
      def time(column, value)
        model.type_for_attribute(column).deserialize(value)
      end

      # {queue => ms, nil for the paused} of all that were ever seen, from {queue => Time} of those
      # with jobs that are ready.
      def ages(since, paused: [])
        now = Time.now.to_f
        since.each_key { |queue| @known[queue] = true if @known.size < MOST_KNOWN }
        @known.transform_values { 0 }
              .merge(since.transform_values { |time| [(now - time.to_f) * 1000, 0].max })
              .merge(paused.to_h { |queue| [queue, nil] })
      end
    end
  end
end
