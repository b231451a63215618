# frozen_string_literal: true

require_relative 'database'

module DynoscaleRuby
  module Jobs
    # Que 1 and newer, in the database of the connections that it was given, ActiveRecord's or others.
    # A job waits while it is due and no worker has locked it. Que knows no pause.
    class Que < Database
      # Que has no hook for the start of a worker; all of them have a locker.
      module Locker
        def initialize(...)
          super
          Jobs.work
        end
      end

      # In PostgreSQL's time, which is also Que's.
      AGES = <<~SQL
        SELECT queue, (EXTRACT(EPOCH FROM now() - MIN(run_at)) * 1000)::bigint AS age, COUNT(*)
        FROM que_jobs
        WHERE finished_at IS NULL AND expired_at IS NULL AND run_at <= now()
          AND NOT EXISTS (
            SELECT FROM pg_locks
            WHERE locktype = 'advisory' AND objsubid = 1 AND granted
              AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
              AND (classid::bigint << 32) + objid::bigint = que_jobs.id
          )
        GROUP BY queue
      SQL

      def hook
        ::Que::Locker.prepend(Locker)
      end

      private

      # Of others' connections, the one that is lent for a moment says where it leads to.
      def connect
        return super if ::Que.const_defined?(:ActiveRecord)

        info = ::Que.checkout { |connection| connection.wrapped_connection.conninfo_hash }
        PGConnection.new(::PG.connect(info.compact))
      end

      def pool
        ::ActiveRecord::Base.connection_pool
      end

      def read
        now = Time.now
        rows = @connection.select(AGES)
        ages(rows.to_h { |queue, age, _| [queue, now - (age.to_i / 1000.0)] },
             rows.to_h { |queue, _, jobs| [queue, jobs.to_i] })
      end
    end
  end
end
