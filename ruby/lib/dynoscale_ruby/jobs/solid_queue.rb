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

      def model
        ::SolidQueue::Job
      end

      def read(connection)
        rows = rows(connection, filled(statement, Time.now.utc))
        paused = rows.filter_map { |queue, _, pause| queue if pause.to_i == 1 }
        since = rows.filter_map { |queue, at, _| [queue, time('scheduled_at', at)] if at }.to_h
        ages(since, paused: paused)
      end

      def statement
        <<~SQL
          SELECT queue_name, MIN(since), MAX(paused) FROM (
            SELECT ready.queue_name, 0 AS paused, CASE
              WHEN jobs.concurrency_key IS NULL AND jobs.scheduled_at > jobs.created_at
              THEN jobs.scheduled_at ELSE ready.created_at END AS since
            FROM #{::SolidQueue::ReadyExecution.quoted_table_name} ready
            JOIN #{::SolidQueue::Job.quoted_table_name} jobs ON jobs.id = ready.job_id
            UNION ALL
            SELECT queue_name, 0, scheduled_at
            FROM #{::SolidQueue::ScheduledExecution.quoted_table_name} WHERE scheduled_at <= ?
            UNION ALL
            SELECT queue_name, 1, NULL FROM #{::SolidQueue::Pause.quoted_table_name}
          ) waiting GROUP BY queue_name
        SQL
      end
    end
  end
end
