# frozen_string_literal: true

module DynoscaleRuby
  module Jobs
    # Which of a backend's queues are measured: those that the setting job_queues names; without it
    # all except temporary ones, whose names hold a UUID, and at most MOST.
    class Selection
      MOST = 50
      UUID = /\h{8}-\h{4}-\h{4}-\h{4}-\h{12}/n.freeze

      @cut = {}

      class << self
        # Yields the first time in the process that a backend has too many queues.
        def first_time(backend)
          yield unless @cut[backend]
          @cut[backend] = true
        end
      end

      # `setting`: names, or patterns with *, between commas; nil or empty if unset.
      def initialize(setting)
        patterns = setting.to_s.split(',').map(&:strip).reject(&:empty?)
        @pattern = /\A(?:#{patterns.map { |pattern| source(pattern) }.join('|')})\z/mn if
          patterns.any?
      end

      # Names may be any bytes: the core refuses unusable ones.
      def of(backend, names)
        return names.select { |name| @pattern.match?(name.b) } if @pattern

        lasting = names.reject { |name| UUID.match?(name.b) }
        lasting.size > MOST ? cut(backend, lasting) : lasting
      end

      private

      def source(pattern)
        pattern.b.split('*', -1).map { |part| Regexp.escape(part) }.join('.*')
      end

      def cut(backend, names)
        self.class.first_time(backend) do
          Log.add(:warn, "#{backend} has #{names.size} queues: the #{MOST} with the shortest names " \
                         'are measured; DYNOSCALE_JOB_QUEUES can name others')
        end
        names.min_by(MOST) { |name| [name.bytesize, name.b] }
      end
    end
  end
end
