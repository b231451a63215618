# frozen_string_literal: true

require_relative 'database'

module DynoscaleRuby
  module Jobs
    # Que 1 and newer, over the connections that it was given, ActiveRecord's or others. A job waits
    # while it is due and no worker has locked it. Que knows no pause.
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
        SET LOCAL statement_timeout = '#{Reader::TIMEOUT}s';
        SELECT queue, (EXTRACT(EPOCH FROM now() - MIN(run_at)) * 1000)::bigint AS age
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

      def queues
        now = Time.now
        rows = executing { ::Que.execute(AGES) }
        ages(rows.to_h { |row| [row[:queue], now - (row[:age] / 1000.0)] })
      end
    end
  end
end
