# frozen_string_literal: true

require_relative 'payload'

module DynoscaleRuby
  module Jobs
    # Sidekiq 6.4 and newer. A queue is a list with the oldest job at its right end; each job holds
    # the moment that it was put there. Scheduled and retried jobs are in sorted sets until Sidekiq
    # moves them: one that is due counts from that moment, so that an app without a worker shows it.
    # What the threads of a process work on, it writes down every 10 s or so.
    class Sidekiq
      SETS = %w[schedule retry].freeze

      # Sidekiq 7 has the first, older ones the second.
      WORK_KEYS = %w[work workers].freeze

      MOST_PROCESSES = 1000

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

      # KEYS: queues. Answers for each the job at its end, cut, {} where it is empty, and how many jobs
      # it has; 0 where the key is of another type.
      OLDEST = <<~LUA
        #{Payload::CUT}
        local queues = {}
        for i, key in ipairs(KEYS) do
          local job = redis.pcall('LINDEX', key, -1)
          if not job then queues[i] = {{}, 0}
          elseif type(job) == 'string' then queues[i] = {cut(job), redis.call('LLEN', key)}
          else queues[i] = 0 end
        end
        return queues
      LUA

      # KEYS: hashes of what is worked on. Answers {queue in JSON, jobs, queue in JSON, jobs ...}; 0
      # where it would take more than 4 MB to know: jobs with all their arguments are in there.
      WORKING = <<~LUA
        local numbers, bytes = {}, 0
        for _, key in ipairs(KEYS) do
          local fields = redis.pcall('HKEYS', key)
          for _, field in ipairs(fields.err and {} or fields) do
            bytes = bytes + redis.call('HSTRLEN', key, field)
            if bytes > 4000000 then return 0 end
            local work = redis.call('HGET', key, field)
            local queue = work:match('^{"queue":(".-[^\\\\]")[,}]')
            if queue then numbers[queue] = (numbers[queue] or 0) + 1 end
          end
        end
        local answer = {}
        for queue, number in pairs(numbers) do
          answer[#answer + 1] = queue
          answer[#answer + 1] = number
        end
        return answer
      LUA

      # Larger times are in ms, as Sidekiq 8 writes them: in seconds it is the year 5138.
      MILLISECONDS = 100_000_000_000

      attr_reader :counts

      def initialize
        @counts = {}
      end

      def hook
        # Not by configure_server, which does nothing if the worker's part is loaded later.
        sidekiq = ::Sidekiq
        sidekiq = sidekiq.default_configuration if sidekiq.respond_to?(:default_configuration)
        sidekiq.on(:startup) { Jobs.work }
      end

      def queues(asked = [], &selection)
        connected { |redis| read(redis, asked, &selection) }
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

      # A client that failed or timed out is not used again, and made as Sidekiq is configured then.
      def connected(&block)
        done = false
        @pool ||= connect
        @pool.with(&block).tap { done = true }
      ensure
        close unless done
      end

      # Not one of Sidekiq's own connections, but one made like them.
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

      def read(redis, asked)
        now = Time.now.to_f
        names, paused, due, processes = redis.pipelined { |pipeline| ask(redis, pipeline, now) }
        due = due_times(due)
        names = yield(names | due.keys)
        processes = [] unless asked.include?('working')
        queues, working = look(redis, names, processes.first(MOST_PROCESSES))
        count(names, queues, due, paused)
        @counts['working'] = numbers(working) if processes.size <= MOST_PROCESSES && working != 0
        names.zip(queues).to_h do |name, (job)|
          [name, paused.include?(name) ? nil : age(job, due[name]&.min, now)]
        end
      end

      # Sidekiq Pro sets "paused".
      def ask(redis, pipeline, now)
        pipeline.smembers('queues')
        pipeline.smembers('paused')
        script(redis, pipeline, DUE, SETS, now.to_s)
        pipeline.smembers('processes')
      end

      def look(redis, names, processes)
        return [[], 0] if names.empty?

        queues, working = redis.pipelined do |pipeline|
          script(redis, pipeline, OLDEST, names.map { |name| "queue:#{name}" })
          script(redis, pipeline, WORKING, processes.product(WORK_KEYS).map { |key| key.join(':') }) if
            processes.any?
        end
        [queues, working || []]
      end

      # Nil if the key is of another type, or nobody takes jobs from the queue.
      def count(names, queues, due, paused)
        @counts = { 'depth' => names.zip(queues).to_h do |name, (_, length)|
          [name, paused.include?(name) ? nil : length && (length + due.fetch(name, []).size)]
        end }
      end

      def numbers(working)
        working.each_slice(2).with_object(Hash.new(0)) do |(queue, number), all|
          all[JSON.parse("[#{queue.dup.force_encoding(Encoding::UTF_8)}]").first] = number
        rescue JSON::ParserError, EncodingError
          nil # a name that ends with a backslash
        end
      end

      # redis and redis-client (Sidekiq 7) have different calls for it.
      def script(redis, to, script, keys, *arguments)
        if redis.class.name.include?('RedisClient')
          to.call('EVAL', script, keys.size, *keys, *arguments)
        else
          to.eval(script, keys, arguments)
        end
      end

      # {queue => [epoch seconds, ...]}
      def due_times(sets)
        sets.flatten(1).each_slice(2).with_object({}) do |(due, job), times|
          queue = Payload.new(*job)['queue']
          (times[queue] ||= []) << due.to_f if queue.is_a?(String)
        end
      end

      def age(job, due, now)
        return unless job.is_a?(Array)

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
