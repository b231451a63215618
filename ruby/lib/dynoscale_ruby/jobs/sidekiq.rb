# frozen_string_literal: true

require_relative 'payload'

module DynoscaleRuby
  module Jobs
    # Sidekiq 6.4 and newer. A queue is a list with the oldest job at its right end; each job holds
    # the moment that it was put there. Scheduled and retried jobs are in sorted sets until Sidekiq
    # moves them: one that is due counts from that moment, so that an app without a worker shows it.
    class Sidekiq
      SETS = %w[schedule retry].freeze

      # KEYS: the sets. ARGV: the time. Answers for each set {due, job, due, job ...}, its jobs being
      # cut: of those that are overdue the longest not more than 200, nor many more bytes than 1 MB.
      # A key of another type is as one that is not there.
      DUE = <<~LUA
        #{Payload::CUT}
        local sets = {}
        for i, key in ipairs(KEYS) do
          local found, bytes = {}, 0
          while #found < 400 and bytes < 1000000 do
            local job = redis.pcall('ZRANGEBYSCORE', key, '-inf', ARGV[1], 'WITHSCORES',
                                    'LIMIT', #found / 2, 1)
            if job.err or #job == 0 then break end
            bytes = bytes + #job[1]
            found[#found + 1] = job[2]
            found[#found + 1] = cut(job[1])
          end
          sets[i] = found
        end
        return sets
      LUA

      # KEYS: queues. Answers for each the job at its end, cut; {} where it is empty, and 0 where the
      # key is of another type.
      OLDEST = <<~LUA
        #{Payload::CUT}
        local jobs = {}
        for i, key in ipairs(KEYS) do
          local job = redis.pcall('LINDEX', key, -1)
          if not job then jobs[i] = {}
          elseif type(job) == 'string' then jobs[i] = cut(job)
          else jobs[i] = 0 end
        end
        return jobs
      LUA

      # Above it, a time is in ms, as Sidekiq 8 writes them: in seconds it is the year 5138.
      MILLISECONDS = 100_000_000_000

      def hook
        # Not by configure_server, which does nothing where the worker's part is loaded later.
        sidekiq = ::Sidekiq
        sidekiq = sidekiq.default_configuration if sidekiq.respond_to?(:default_configuration)
        sidekiq.on(:startup) { Jobs.work }
      end

      def queues(&selection)
        connected { |redis| read(redis, &selection) }
      end

      def close
        pool = @pool
        forget
        pool&.shutdown(&:close)
      end

      def forget
        @pool = nil
      end

      private

      # What failed or timed out is not used again, and made anew as Sidekiq is configured then.
      def connected(&block)
        done = false
        @pool ||= connect
        @pool.with(&block).tap { done = true }
      ensure
        close unless done
      end

      # None of Sidekiq's own connections, but one made alike.
      def connect
        sidekiq = ::Sidekiq
        return sidekiq.default_configuration.new_redis_pool(1, 'dynoscale') if
          sidekiq.respond_to?(:default_configuration)

        redis = sidekiq.redis { |connection| copy(connection) }
        ::ConnectionPool.new(size: 1) { redis }
      end

      def copy(redis)
        return redis.dup unless redis.respond_to?(:namespace)

        redis.class.new(redis.namespace, redis: redis.redis.dup)
      end

      def read(redis)
        now = Time.now.to_f
        names, paused, due = redis.pipelined { |pipeline| ask(redis, pipeline, now) }
        due = oldest_due(due)
        names = yield(names | due.keys)
        jobs = names.empty? ? [] : script(redis, redis, OLDEST, names.map { |name| "queue:#{name}" })
        names.zip(jobs).to_h { |name, job| [name, paused.include?(name) ? nil : age(job, due[name], now)] }
      end

      # "paused" is Sidekiq Pro's.
      def ask(redis, pipeline, now)
        pipeline.smembers('queues')
        pipeline.smembers('paused')
        script(redis, pipeline, DUE, SETS, now.to_s)
      end

      # Each of redis and redis-client, which Sidekiq 7 brought, has its own way to say it.
      def script(redis, to, script, keys, *arguments)
        if redis.class.name.include?('RedisClient')
          to.call('EVAL', script, keys.size, *keys, *arguments)
        else
          to.eval(script, keys, arguments)
        end
      end

      # {queue => epoch seconds}
      def oldest_due(sets)
        sets.flatten(1).each_slice(2).with_object({}) do |(due, job), oldest|
          queue = Payload.new(*job)['queue']
          oldest[queue] = [oldest[queue], due.to_f].compact.min if queue.is_a?(String)
        end
      end

      def age(job, due, now)
        return if job == 0 # rubocop:disable Style/NumericPredicate

        since = enqueued_at(Payload.new(*job)) if job.any?
        return if job.any? && since.nil? # not put there by Sidekiq: nobody knows when

        since = [since, due].compact.min
        since ? [(now - since) * 1000, 0].max : 0
      end

      def enqueued_at(job)
        time = job.number('enqueued_at') || job.number('created_at')
        time && (time > MILLISECONDS ? time / 1000.0 : time.to_f)
      end
    end
  end
end
