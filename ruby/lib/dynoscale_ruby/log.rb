# frozen_string_literal: true

module DynoscaleRuby
  # The agent's log: warnings, unless log_level asks for more. A condition that lasts is not logged
  # again, except for a job backend that can't be read: once a minute. Lines go to the logger given
  # in the settings, to Rails.logger, or to $stderr. None of them is changed, and a logger that
  # fails does not reach the app.
  module Log
    LEVELS = %i[debug info warn error].freeze

    # Used if there is no logger. Ruby's own is not part of Ruby from 4.0 on, and the gem has no
    # dependencies.
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

      # Logs the effect of an error as a warning. The error's text may be any library's.
      def failure(text, error)
        add(:warn, "#{text}: #{error.class}: #{redacted(error.message)}")
      end

      private

      # The beginning of the text, without what may be a password.
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

      # Whether the logger took the line. An exception that another thread raises here meanwhile, as
      # Timeout does, is raised afterwards: it is not the logger's.
      def write(logger, level, line)
        Thread.handle_interrupt(StandardError => :never) do
          logger.public_send(level, line)
          true
        rescue StandardError
          false
        end
      end
    end
  end
end
