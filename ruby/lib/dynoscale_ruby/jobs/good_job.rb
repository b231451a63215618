# frozen_string_literal: true

require_relative 'database'

module DynoscaleRuby
  module Jobs
    # GoodJob 3 and newer. A job waits while it is due and has not been begun; a retry begins anew.
    # One whose process was killed while it ran waits too, but is taken for one that runs: it has
    # performed_at, lacks only the lock, and nothing says since when.
    class GoodJob < Database
      # GoodJob has no hook for it. Its processes, of whatever kind, are those of a Rails app, in
      # which the Railtie says that they serve.
      def hook; end

      private

      def model
        ::GoodJob::Job
      end

      def read(connection)
        since = rows(connection, waiting.to_sql).to_h do |queue, oldest|
          [queue || 'default', time('scheduled_at', oldest)]
        end
        ages(since, paused: pauses? ? ::GoodJob::Setting.paused(:queues) : [])
      end

      # GoodJob itself says which jobs its pauses concern: those of a queue, a class, a label.
      def waiting
        all = pauses? ? model.unscoped.exclude_paused : model.unscoped
        all.where(finished_at: nil, performed_at: nil)
           .where('scheduled_at IS NULL OR scheduled_at <= ?', Time.now.utc)
           .group(:queue_name)
           .select('queue_name, MIN(COALESCE(scheduled_at, created_at))')
      end

      def pauses?
        configuration = ::GoodJob.configuration
        configuration.respond_to?(:enable_pauses) && configuration.enable_pauses
      end
    end
  end
end
