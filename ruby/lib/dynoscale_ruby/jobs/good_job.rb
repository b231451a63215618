# frozen_string_literal: true

require_relative 'database'

module DynoscaleRuby
  module Jobs
    # GoodJob 3 and newer. A job waits while it is due and has not begun; a retry begins again. A
    # job whose process was killed waits too, but looks like one that runs: it has performed_at and
    # lacks only the lock, and its age is unknown. So it counts as running.
    class GoodJob < Database
      # GoodJob has no hook for it. All its processes are those of a Rails app, where the Railtie
      # says that they serve.
      def hook; end

      private

      # Finds the setting's key here, where the app's code may be loaded.
      def pool
        @pauses = ::GoodJob::Setting::PAUSES if pauses?
        ::GoodJob::Job.connection_pool
      end

      def read
        rows = @connection.select(@pauses && pauses? ? statement_with_pauses : statement)
        paused, rows = rows.partition { |_, _, pause| pause.to_i == 1 }
        rows.map! do |queue, oldest, _, ready, begun|
          [queue || 'default', oldest && time(oldest), ready.to_i, begun.to_i]
        end
        ages(rows, paused: paused.map(&:first))
      end

      def statement(pauses = '')
        filled(<<~SQL, Time.now)
          SELECT queue_name, MIN(since), 0, COUNT(since), COUNT(performed_at) FROM (
            SELECT queue_name, performed_at, CASE
              WHEN performed_at IS NULL #{pauses} THEN COALESCE(scheduled_at, created_at) END AS since
            FROM good_jobs
            WHERE finished_at IS NULL AND (scheduled_at IS NULL OR scheduled_at <= ?)
          ) jobs GROUP BY queue_name
        SQL
      end

      # A pause applies to the jobs of a queue, of a class, or with a label.
      def statement_with_pauses
        "#{statement(<<~SQL)} UNION ALL #{paused('queues', ', NULL::timestamp, 1, 0, 0')}"
          AND queue_name NOT IN (#{paused('queues')})
          AND job_class NOT IN (#{paused('job_classes')})
          AND NOT COALESCE(labels && ARRAY(#{paused('labels')}), FALSE)
        SQL
      end

      def paused(what, more = '')
        "SELECT jsonb_array_elements_text(value->'#{what}')#{more} FROM good_job_settings " \
          "WHERE key = '#{@pauses}'"
      end

      def pauses?
        configuration = ::GoodJob.configuration
        configuration.respond_to?(:enable_pauses) && configuration.enable_pauses
      end
    end
  end
end
