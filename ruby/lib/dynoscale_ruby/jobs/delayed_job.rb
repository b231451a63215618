# frozen_string_literal: true

require_relative 'database'

module DynoscaleRuby
  module Jobs
    # Delayed Job with ActiveRecord. It takes jobs that are due and have not failed, and another
    # worker's job only once that worker must have died. It has no pause.
    class DelayedJob < Database
      # The name for the queue of jobs without one.
      DEFAULT = 'default'

      def hook
        ::Delayed::Worker.plugins << Class.new(::Delayed::Plugin) do
          callbacks { |lifecycle| lifecycle.before(:execute) { |_worker| Jobs.work } }
        end
      end

      # Other backends than ActiveRecord have no connection to lend.
      def queues(asked = [])
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
        rows = @connection.select(statement).map do |queue, run_at, jobs, working|
          queue = default if queue.nil? || queue.empty?
          [queue, run_at && time(run_at), jobs.to_i - working.to_i, working.to_i]
        end
        ages(rows.group_by(&:first).map { |queue, of_queue| [queue, *sum(of_queue)] })
      end

      # For a queue that is named in some jobs, and not in others.
      def sum(rows)
        oldest = rows.filter_map { |row| row[1] }.min_by(&:to_f)
        [oldest, rows.sum { |row| row[2] }, rows.sum { |row| row[3] }]
      end

      def statement
        now = Time.now
        taken_since = now - ::Delayed::Worker.max_run_time.to_f
        filled(<<~SQL, taken_since, taken_since, now)
          SELECT queue, MIN(CASE WHEN locked_at >= ? THEN NULL ELSE run_at END), COUNT(*),
            COUNT(CASE WHEN locked_at >= ? THEN 1 END)
          FROM #{@connection.quoted(model.table_name)}
          WHERE failed_at IS NULL AND run_at <= ? GROUP BY queue
        SQL
      end
    end
  end
end
