# frozen_string_literal: true

require_relative 'database'

module DynoscaleRuby
  module Jobs
    # Que 1 and newer, in the database of the connections that it was given, ActiveRecord's or others.
    # A job waits while it is due and no worker has locked it. Workers lock some jobs before they come
    # to work on them, which nobody else can do then: those count as worked on. Que knows no pause.
    class Que < Database
      # Que has no hook for the start of a worker; all of them have a locker.
      module Locker
        def initialize(...)
          super
          Jobs.work
        end
      end

      # In PostgreSQL's time, which is also Que's. OFFSET 0: the locks are looked up once for each job,
      # in a table that PostgreSQL makes of them.
      AGES = <<~SQL
        SELECT queue,
          (EXTRACT(EPOCH FROM now() - MIN(run_at) FILTER (WHERE NOT held)) * 1000)::bigint AS age,
          COUNT(*) FILTER (WHERE NOT held) AS ready, COUNT(*) FILTER (WHERE held) AS working
        FROM (
          SELECT queue, run_at, id IN (
            SELECT (classid::bigint << 32) + objid::bigint FROM pg_locks
            WHERE locktype = 'advisory' AND objsubid = 1 AND granted
              AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
          ) AS held
          FROM que_jobs
          WHERE finished_at IS NULL AND expired_at IS NULL AND run_at <= now()
          OFFSET 0
        ) jobs GROUP BY queue
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
        ages(@connection.select(AGES).map do |queue, age, ready, working|
          [queue, age && (now - (age.to_i / 1000.0)), ready.to_i, working.to_i]
        end)
      end
    end
  end
end
