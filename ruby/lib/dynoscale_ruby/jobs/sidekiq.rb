# frozen_string_literal: true

require 'json'

module DynoscaleRuby
  module Jobs
    # Sidekiq 6.4 and newer. A queue is a list with the oldest job at its right end; each job holds
    # the moment that it was put there. Scheduled and retried jobs are in sorted sets until Sidekiq
    # moves them: one that is due counts from that moment, so that an app without a worker shows it.
    class Sidekiq
      SETS = %w[schedule retry].freeze

      # Of each set, the jobs that are overdue the longest.
      MOST_DUE = 200

      # Above it, a time is in ms, as Sidekiq 8 writes them: in seconds it is the year 5138.
      MILLISECONDS = 100_000_000_000

      def hook
        # Not by configure_server, which does nothing where the worker's part is loaded later.
        sidekiq = ::Sidekiq
        sidekiq = sidekiq.default_configuration if sidekiq.respond_to?(:default_configuration)
        sidekiq.on(:startup) { Jobs.work }
      end

      def queues
        now = Time.now.to_f
        ::Sidekiq.redis do |redis|
          names, paused, *due = redis.pipelined { |pipeline| ask(redis, pipeline, now) }
          due = oldest_due(due)
          names = yield(names | due.keys)
          oldest = names.empty? ? [] : redis.pipelined { |pipe| names.each { |n| last(pipe, n) } }
          names.zip(oldest).to_h do |name, job|
            [name, paused.include?(name) ? nil : age(job, due[name], now)]
          end
        end
      end

      private

      # "paused" is Sidekiq Pro's.
      def ask(redis, pipeline, now)
        pipeline.smembers('queues')
        pipeline.smembers('paused')
        SETS.each { |set| ask_due(redis, pipeline, set, now) }
      end

      # Each of redis and redis-client, which Sidekiq 7 brought, has its own way to say it. Sidekiq
      # prints that the command is deprecated, unless it is called so.
      def ask_due(redis, pipeline, set, now)
        if redis.class.name.include?('RedisClient')
          pipeline.call('ZRANGEBYSCORE', set, '-inf', now.to_s, 'WITHSCORES', 'LIMIT', 0, MOST_DUE)
        else
          pipeline.zrangebyscore(set, '-inf', now.to_s, with_scores: true, limit: [0, MOST_DUE])
        end
      end

      def last(pipeline, name)
        pipeline.lindex("queue:#{name}", -1)
      end

      # {queue => epoch seconds}. The replies are [job, score, ...] or [[job, score], ...].
      def oldest_due(replies)
        replies.flatten.each_slice(2).with_object({}) do |(job, due), oldest|
          queue = parsed(job)['queue']
          oldest[queue] = [oldest[queue], due.to_f].compact.min if queue.is_a?(String)
        end
      end

      def age(job, due, now)
        since = job && enqueued_at(parsed(job))
        return if job && since.nil? # not put there by Sidekiq: nobody knows when

        since = [since, due].compact.min
        since ? [(now - since) * 1000, 0].max : 0
      end

      def enqueued_at(job)
        time = job['enqueued_at'] || job['created_at']
        return unless time.is_a?(Numeric)

        time > MILLISECONDS ? time / 1000.0 : time.to_f
      end

      def parsed(job)
        parsed = JSON.parse(job)
        parsed.is_a?(Hash) ? parsed : {}
      rescue JSON::ParserError, EncodingError
        {}
      end
    end
  end
end
