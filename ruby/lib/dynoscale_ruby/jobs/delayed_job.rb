# frozen_string_literal: true

require_relative 'database'

module DynoscaleRuby
  module Jobs
    # Delayed Job with ActiveRecord. It takes a job that is due and not failed; one that another
    # worker has taken only once that worker must have died. It knows no pause.
    class DelayedJob < Database
      # The name of the queue of jobs without one.
      DEFAULT = 'default'

      def hook
        ::Delayed::Worker.plugins << Class.new(::Delayed::Plugin) do
          callbacks { |lifecycle| lifecycle.before(:execute) { |_worker| Jobs.work } }
        end
      end

      # Another's than ActiveRecord's has no connection to lend.
      def queues
        model.respond_to?(:connection_pool) ? super : {}
      end

      private

      def model
        ::Delayed::Worker.backend
      end

      def pool
        model.connection_pool
      end

      def read
        default = (::Delayed::Worker.default_queue_name || DEFAULT).to_s
        depth = Hash.new(0)
        since = @connection.select(statement).each_with_object({}) do |(queue, run_at, jobs), oldest|
          queue = default if queue.nil? || queue.empty?
          oldest[queue] = [oldest[queue], time(run_at)].compact.min
          depth[queue] += jobs.to_i
        end
        ages(since, depth)
      end

      def statement
        now = Time.now
        filled(<<~SQL, now, now - ::Delayed::Worker.max_run_time.to_f)
          SELECT queue, MIN(run_at), COUNT(*) FROM #{@connection.quoted(model.table_name)}
          WHERE failed_at IS NULL AND run_at <= ? AND (locked_at IS NULL OR locked_at < ?)
          GROUP BY queue
        SQL
      end
    end
  end
end
