# frozen_string_literal: true

require 'time'
require_relative 'payload'

module DynoscaleRuby
  module Jobs
    # Resque. A queue is a list with the oldest job at its left end. Resque notes no time, so the
    # agent adds it when a job is enqueued, under a KEY of its own beside "class" and "args". Jobs
    # enqueued by processes without the agent have none, but for those of ActiveJob, which notes its
    # own; a queue that begins with more than LOOK_AHEAD of them is not reported, rather than as empty.
    class Resque
      KEY = 'dynoscale_enqueued_at'
      LOOK_AHEAD = 10

      # Seconds after which Resque considers a silent worker dead, by default.
      DEAD_AFTER = 300

      MOST_WORKERS = 1000

      # KEYS: a queue, which may be on another server of a cluster than the next. Answers its first
      # jobs, cut, and how many it has: up to the first with a time, and not many more bytes than
      # 100 KB are looked at. 0 where the key is of another type.
      FIRST = <<~LUA
        #{Payload::CUT}
        local jobs, bytes = {}, 0
        while #jobs < #{LOOK_AHEAD} and bytes < 100000 do
          local job = redis.pcall('LINDEX', KEYS[1], #jobs)
          if not job then break end
          if type(job) ~= 'string' then return 0 end
          bytes = bytes + #job
          jobs[#jobs + 1] = cut(job)
          if job:find('"#{KEY}":', -#{Payload::EDGE}, true) then break end
        end
        return {jobs, redis.call('LLEN', KEYS[1])}
      LUA

      # KEYS: what a worker works on. Answers its beginning, where the queue stands.
      WORK = <<~LUA
        local work = redis.pcall('GETRANGE', KEYS[1], 0, #{Payload::EDGE - 1})
        return type(work) == 'string' and work or ''
      LUA

      # At the end of an ActiveJob job, before the agent's own key.
      ACTIVE_JOB_TIMES = /
        "enqueued_at":"([^"]+)",\s*"scheduled_at":(?:null|"([^"]+)")\}\](?:,"#{KEY}":[\d.]+)?\}\s*\z
      /xn.freeze

      # Of Resque itself.
      module Stamp
        def push(queue, item)
          super(queue, Resque.stamped(item))
        end
      end

      # Of Resque::Job. Resque looks for jobs with the same text when it is asked to remove those
      # with certain arguments: those with a stamp are looked for as well.
      module Destroy
        def destroy(queue, klass, *args)
          removed = super
          args.empty? || !Jobs.collecting? ? removed : removed + Resque.remove_stamped(queue, klass, args)
        end
      end

      # KEYS: the list. ARGV: how the text begins that the jobs have before their stamp; what is
      # written in the place of those found, to be removed at once. Answers how many there were.
      REMOVE_STAMPED = <<~LUA
        local first, page, length = 0, 1000, #ARGV[1]
        repeat
          local jobs = redis.call('LRANGE', KEYS[1], first, first + page - 1)
          for i, job in ipairs(jobs) do
            if job:sub(1, length) == ARGV[1] and job:find('^[%d.]+}$', length + 1) then
              redis.call('LSET', KEYS[1], first + i - 1, ARGV[2])
            end
          end
          first = first + page
        until #jobs < page
        return redis.call('LREM', KEYS[1], 0, ARGV[2])
      LUA

      class << self
        def stamped(item)
          stamp = job?(item) && !item.key?(KEY) && Jobs.collecting?
          stamp ? item.merge(KEY => Time.now.to_f.round(3)) : item
        end

        # Anything else that is pushed belongs to the app.
        def job?(item)
          item.is_a?(Hash) && %w[class args].all? { |key| item.key?(key) || item.key?(key.to_sym) }
        end

        # By the server, in one step: the queue may be long, and changes. A million jobs keep it for
        # a third of a second. Resque has removed its own by now, which the app is to hear of,
        # whatever becomes of these.
        def remove_stamped(queue, klass, args)
          text = ::Resque.encode(class: klass.to_s, args: args)
          begins = "#{text.delete_suffix('}')},\"#{KEY}\":"
          ::Resque.redis.eval(REMOVE_STAMPED, ["queue:#{queue}"], [begins, 'removed']).to_i
        rescue StandardError => e
          Reader.once_in_silence('resque, to remove a job') do
            Log.add(:warn, "jobs of Resque with the agent's #{KEY} could not be removed: #{e.class}; " \
                           'jobs without it were')
          end
          0
        end
      end

      def hook
        ::Resque.before_first_fork { Jobs.work }
        ::Resque.singleton_class.prepend(Stamp)
        ::Resque::Job.singleton_class.prepend(Destroy)
      end

      attr_reader :counts

      def initialize
        @counts = {}
      end

      def queues(asked = [], &selection)
        done = false
        @redis ||= copy(::Resque.redis)
        read(@redis, asked, &selection).tap { done = true }
      ensure
        close unless done
      end

      def close
        redis = @redis
        forget
        redis.redis.close if redis && !redis.equal?(::Resque.redis)
      end

      def forget
        @redis = nil
      end

      private

      # Makes a connection like Resque's own, of which a process has one. If it is not redis-rb's,
      # uses Resque's.
      def copy(redis)
        inner = redis.redis if redis.respond_to?(:redis) && redis.respond_to?(:namespace)
        return redis unless inner.is_a?(::Redis)

        ::Redis::Namespace.new(redis.namespace, redis: inner.dup)
      end

      def read(redis, asked)
        now = Time.now.to_f
        names, paused, workers, beats = redis.pipelined { |pipeline| ask(pipeline) }
        names = yield names
        paused = paused.to_s.strip.casecmp?('true')
        workers = asked.include?('working') ? living(workers, beats, now) : []
        found, work = look(redis, names, workers.first(MOST_WORKERS))
        @counts = { 'depth' => paused ? {} : names.zip(found).to_h { |name, (_, length)| [name, length] } }
        @counts['working'] = numbers(work) if workers.size <= MOST_WORKERS
        names.zip(found).to_h { |name, (jobs)| [name, paused ? nil : age(jobs, now)] }
      end

      def ask(pipeline)
        pipeline.smembers('queues')
        pipeline.get('pause-all-workers')
        pipeline.smembers('workers')
        pipeline.hgetall('workers:heartbeat')
      end

      # A killed worker stays until another one begins.
      def living(workers, beats, now)
        dead_after = ::Resque.respond_to?(:prune_interval) ? ::Resque.prune_interval.to_f : DEAD_AFTER
        workers.reject do |worker|
          beats[worker] && now - Time.iso8601(beats[worker]).to_f > dead_after
        rescue ArgumentError
          false # not a time, but the key is there
        end
      end

      # Of each queue its jobs, of each worker its work.
      def look(redis, names, workers)
        return [[], []] if names.empty?

        found = redis.pipelined do |pipeline|
          names.each { |name| pipeline.eval(FIRST, ["queue:#{name}"], []) }
          workers.each { |worker| pipeline.eval(WORK, ["worker:#{worker}"], []) }
        end
        [found.first(names.size), found.drop(names.size)]
      end

      def numbers(work)
        work.map { |head| Payload.new(head, '')['queue'] }.grep(String).tally.tap { |all| all.default = 0 }
      end

      # If the first jobs have no time, the age of the first that has one is a lower bound.
      def age(jobs, now)
        return unless jobs.is_a?(Array)
        return 0 if jobs.empty?

        since = jobs.filter_map { |job| enqueued_at(Payload.new(*job)) }.min
        since && [(now - since) * 1000, 0].max
      end

      # One of ActiveJob's for later was enqueued when it was asked for, and came here when it was due.
      def enqueued_at(job)
        job.number(KEY) || times_of_active_job(job).map { |time| Time.iso8601(time).to_f }.max
      rescue StandardError
        nil # a job of neither Resque nor ActiveJob
      end

      def times_of_active_job(job)
        return job.at_end(ACTIVE_JOB_TIMES).captures.compact unless job.whole

        job.whole['args'][0].values_at('enqueued_at', 'scheduled_at').grep(String)
      end
    end
  end
end
