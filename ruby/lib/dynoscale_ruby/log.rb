# frozen_string_literal: true

module DynoscaleRuby
  # What the agent has to say, which is little: warnings, unless log_level asks for more. One that
  # lasts is not repeated, but for a job backend that can't be read: that is said once a minute.
  # It goes to the logger given in the settings, to Rails.logger, or to $stderr, as they are: none
  # of them is changed, and a logger that fails does not reach the app.
  module Log
    LEVELS = %i[debug info warn error].freeze

    # Where there is no logger. Ruby's own would do, but it is no part of Ruby any more from 4.0 on,
    # and the gem is to need no other.
    module Stderr
      LEVELS.each do |level|
        define_singleton_method(level) { |text| $stderr.puts("#{level.to_s.upcase} #{text}") }
      end
    end

    @level = :warn

    class << self
      def use(settings)
        @level = settings.log_level.to_sym
        @logger = settings.logger
      end

      def add(level, text)
        return if LEVELS.index(level) < LEVELS.index(@level)

        line = "[dynoscale] #{text}"
        write(logger, level, line) || write(Stderr, level, line)
      end

      # Warns of what an error did; its text may be any library's.
      def failure(text, error)
        add(:warn, "#{text}: #{error.class}: #{redacted(error.message)}")
      end

      private

      # Its beginning, without what may be a password.
      def redacted(message)
        message.to_s.scrub.lines.first.to_s.strip[0, 200].gsub(/[[:cntrl:]]/, ' ')
               .gsub(%r{//\S*@|//.*@}, '//[redacted]@')
               .gsub(/(passw\w*\s*[=:]\s*)\S+/i, '\1[redacted]')
      end

      def logger
        @logger || rails_logger || Stderr
      end

      def rails_logger
        ::Rails.logger if defined?(::Rails.logger)
      end

      # Whether the logger took it.
      def write(logger, level, line)
        logger.public_send(level, line)
        true
      rescue StandardError
        false
      end
    end
  end
end
