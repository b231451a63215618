# frozen_string_literal: true

module DynoscaleRuby
  # Settings and where they came from. Options is written in C, over the table of settings in
  # dynoscale.h; this turns Ruby's types into text and back.
  #
  #   settings.publish_frequency      #=> 30, in force
  #   settings.publish_frequency = 10 # a String, Symbol, number or boolean; nil takes it back
  #   settings.source(:url)           #=> :default, :environment, :framework or :code
  #   settings.off_reason             #=> nil, or a sentence: why the agent stays off
  #   settings.inspect                # without secrets
  class Settings < Options
    SWITCHES = TABLE.select { |_, row| %w[on off].include?(row[:standard]) }.keys.freeze
    LOGGER_METHODS = %i[debug info warn error].freeze

    # An object with `debug`, `info`, `warn` and `error`; nil: Rails.logger, or $stderr.
    attr_reader :logger

    # The values given so far, by source and name.
    attr_reader :given
    protected :given

    # Reads the environment, and takes over what an earlier Settings was given.
    def initialize(earlier = nil)
      super()
      read_environment
      @given = { framework: {}, code: {} }
      @refused = []
      earlier&.given&.each do |source, values|
        values.each { |name, value| give(name, value, source) }
      end
    end

    TABLE.each_key do |name|
      define_method(:"#{name}=") { |value| give(name, value, :code) }
      if SWITCHES.include?(name)
        define_method(name) { text(name) == 'true' }
      elsif name != :publish_frequency
        define_method(name) { text(name) }
      end
    end

    # Seconds, an Integer if whole.
    def publish_frequency
      seconds = text(:publish_frequency).to_f
      seconds.to_i == seconds ? seconds.to_i : seconds
    end

    def logger=(logger)
      give(:logger, logger, :code)
    end

    # Gives a setting a value; never raises. `source` is :code or :framework.
    def give(name, value, source)
      known = TABLE.key?(name) || name == :logger
      return refuse("there is no setting \"#{name}\": it is ignored") unless known

      @given[source][name] = value
      name == :logger ? take_logger : take(name, value, source)
    end

    # Gives all settings of a Hash; never raises.
    def give_all(values, source)
      case values
      when Hash then values.each { |name, value| give(name.to_s.to_sym, value, source) }
      else refuse("the #{source}'s settings are #{article(values)}, not a Hash: they are ignored")
      end
    end

    # Lines that each name the setting, what is wrong with it and what is used instead.
    def warnings
      core_warnings + @refused
    end

    def inspect
      values = TABLE.keys.map { |name| "#{name}=#{shown(name) || 'none'} (#{source(name)})" }
      state = off_reason ? "off: #{off_reason}" : 'on'
      "#<#{self.class} #{values.join(', ')}; #{state}>"
    end
    alias to_s inspect

    private

    def take(name, value, source)
      text = text_of(name, value)
      store(name, text, source)
    rescue StandardError
      # The value is not shown: it may hold a secret, and its own methods may be what failed.
      refuse("#{name} is #{article(value)}, not text, a number or a boolean: " \
             "using #{shown(name) || 'none'} instead")
    end

    def text_of(name, value)
      case value
      when nil, String then value
      when Integer then name == :log_level ? level_text(value) : value.to_s
      when Symbol, true, false, Numeric, TEXTUAL then value.to_s
      when Array then name == :job_queues ? value.join(',') : raise(TypeError)
      else raise TypeError
      end
    end

    # Logger::DEBUG is 0, and so on.
    def level_text(number)
      number.between?(0, 3) ? LOGGER_METHODS[number].to_s : number.to_s
    end

    # Other values that stand for text: a URI, and 10.seconds in Rails.
    TEXTUAL = lambda do |value|
      %w[URI::Generic ActiveSupport::Duration].any? do |name|
        Object.const_defined?(name) && Object.const_get(name) === value # not a method of the value
      end
    end
    private_constant :TEXTUAL

    # Framework first, so that code's logger wins.
    def take_logger
      @logger = nil
      @given.each_value do |values|
        logger = values[:logger]
        next if nil.equal?(logger) # it may have no methods at all

        if LOGGER_METHODS.all? { |name| responds?(logger, name) }
          @logger = logger
        else
          refuse("logger is #{article(logger)}, which has no methods debug, info, warn and " \
                 'error: using the usual one instead')
        end
      end
    end

    def responds?(object, name)
      object.respond_to?(name)
    rescue StandardError
      false
    end

    def refuse(warning)
      @refused << warning unless @refused.include?(warning)
    end

    # "an Array", for any object, also a BasicObject.
    def article(value)
      name = Kernel.instance_method(:class).bind_call(value).name || 'object of a nameless class'
      "#{name.match?(/\A[AEIOUaeiou]/) ? 'an' : 'a'} #{name}"
    end

    def respond_to_missing?(name, include_private = false)
      name.end_with?('=') || super
    end

    # An unknown setting is a warning like a wrong value, not an exception at boot.
    def method_missing(name, *arguments)
      return super unless name.end_with?('=') && arguments.size == 1

      give(name.to_s.delete_suffix('=').to_sym, arguments.first, :code)
    end
  end
end
