# frozen_string_literal: true

require_relative 'database'

module DynoscaleRuby
  module Jobs
    # Solid Queue. A job waits while it has a ready execution, or a scheduled one that is due and
    # not yet dispatched. It counts from when it became ready: that may be for a second time, as a
    # worker that is shut down lets go of the jobs that it runs. One that was enqueued for later, and
    # may have been dispatched late, counts from when it was due; those for now are due a little
    # before they are made. One whose concurrency is limited counts from when it was let through.
    class SolidQueue < Database
      def hook
        ::SolidQueue.on_start { Jobs.work } # in the supervisor, which outlives its workers
      end

      private

      def pool
        ::SolidQueue::Job.connection_pool
      end

      def read
        rows = @connection.select(filled(STATEMENT, Time.now))
        paused = rows.filter_map { |queue, _, pause| queue if pause.to_i == 1 }
        rows = rows.map do |queue, at, _, ready, claimed|
          [queue, at && time(at), ready.to_i, claimed.to_i]
        end
        ages(rows, paused: paused)
      end

      STATEMENT = <<~SQL
        SELECT queue_name, MIN(since), MAX(paused), COUNT(since), SUM(claimed) FROM (
          SELECT ready.queue_name, 0 AS paused, CASE
            WHEN jobs.concurrency_key IS NULL AND jobs.scheduled_at > jobs.created_at
            THEN jobs.scheduled_at ELSE ready.created_at END AS since, 0 AS claimed
          FROM solid_queue_ready_executions ready
          JOIN solid_queue_jobs jobs ON jobs.id = ready.job_id
          UNION ALL
          SELECT queue_name, 0, scheduled_at, 0
          FROM solid_queue_scheduled_executions WHERE scheduled_at <= ?
          UNION ALL
          SELECT queue_name, 1, NULL, 0 FROM solid_queue_pauses
          UNION ALL
          SELECT jobs.queue_name, 0, NULL, 1
          FROM solid_queue_claimed_executions claims
          JOIN solid_queue_jobs jobs ON jobs.id = claims.job_id
        ) waiting GROUP BY queue_name
      SQL
    end
  end
end
