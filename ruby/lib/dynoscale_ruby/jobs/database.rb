# frozen_string_literal: true

require_relative 'connection'

module DynoscaleRuby
  module Jobs
    # What the backends that keep jobs in a database have in common: a connection of the agent's own,
    # and a memory for queues. A queue without jobs leaves no trace in the table: those that had some
    # before are known to be empty. A subclass has `pool` and `read`.
    #
    # Nothing of the app's is held or filled in from here: neither a connection of its pool, nor what
    # its models learn of their tables, nor Rails' executor while the database is asked.
    class Database
      MOST_KNOWN = 1000

      # {signal's name => {queue => jobs}} of the last reading.
      attr_reader :counts

      def initialize
        @known = {}
        @counts = {}
        @lock = Mutex.new # a stopping thread may still be here when the next one begins
      end

      # A library without its table is not in use.
      def queues(_asked = [])
        @lock.synchronize do
          connected do
            read.tap { @installed = true }
          rescue StandardError => e
            @installed || !@connection.missing?(e) ? raise : {}
          end
        end
      end

      # The thread that reads has ended.
      def close
        @lock.synchronize { disconnect }
      end

      # In a forked child.
      def forget
        @lock = Mutex.new
        @connection&.forget
        @connection = nil
      end

      private

      def disconnect
        @connection&.close
        @connection = nil
      end

      # A connection that failed, timed out or was killed is not used again: a late answer would be
      # taken for the next statement's.
      def connected
        done = false
        @connection ||= connect
        yield.tap { done = true }
      ensure
        disconnect unless done && @connection.lasting? && Jobs.sees_forks?
      end

      def connect
        Connection.open(in_app { pool })
      end

      # For app code that may have to be loaded. Where Rails reloads code, other threads must say
      # when they use it. Exceptions are kept from the executor, which would report them to the
      # app's error tracker.
      def in_app
        rails = ::Rails.application if defined?(::Rails.application)
        return yield if rails.nil? || rails.config.cache_classes

        value, error = rails.executor.wrap do
          [yield, nil]
        rescue StandardError => e
          [nil, e]
        end
        error ? raise(error) : value
      end

      # Replaces the statement's question marks by the times, quoted as ActiveRecord writes them.
      def filled(statement, *times)
        statement.gsub('?') do
          time = utc? ? times.shift.getutc : times.shift.getlocal
          "'#{time.strftime('%F %T.%6N')}'"
        end
      end

      def utc?
        zoned = [::ActiveRecord, ::ActiveRecord::Base].find { |one| one.respond_to?(:default_timezone) }
        zoned.default_timezone == :utc
      end

      # Stands for a time that can't be told, such as PostgreSQL's -infinity or MySQL's 0000-00-00: the
      # core refuses the age, so that only this queue is not reported.
      NEVER = -Float::INFINITY

      # The database's value as a Time.
      def time(value)
        case value
        when Numeric then Time.at(value)
        when String then text_time(value)
        else value.to_time
        end
      rescue ArgumentError
        NEVER
      end

      TEXT_TIME = /\A(\d+)-(\d+)-(\d+)[T ](\d+):(\d+):(\d+(?:\.\d+)?)\s*(Z|UTC|[-+]\d\d(?::?\d\d)?)?/.freeze

      def text_time(value)
        found = value.match(TEXT_TIME) or return NEVER
        *parts, second, zone = found.captures
        parts = parts.map(&:to_i) << second.to_r
        return utc? ? Time.utc(*parts) : Time.local(*parts) unless zone

        hours, minutes = zone.scan(/\d\d/).map(&:to_i)
        offset = ((hours.to_i * 60) + minutes.to_i) * 60
        Time.utc(*parts) - (zone.start_with?('-') ? -offset : offset)
      end

      # {queue => ms, nil for the paused} of all that were ever seen, from rows of a queue, the Time of
      # its oldest job that is ready (nil: none), how many are ready, and how many are worked on.
      def ages(rows, paused: [])
        now = Time.now.to_f
        none = paused.to_h { |queue| [queue, nil] }
        @counts = { 'depth' => Hash.new(0).merge(rows.to_h { |queue, _, ready| [queue, ready] }, none),
                    'working' => Hash.new(0).merge(rows.to_h { |queue, *, working| [queue, working] }) }
        rows.each { |queue,| @known[queue] = true if @known.size < MOST_KNOWN }
        since = rows.to_h { |queue, time| [queue, time] }.compact
        @known.transform_values { 0 }
              .merge(since.transform_values { |time| [(now - time.to_f) * 1000, 0].max })
              .merge(none)
      end
    end
  end
end
