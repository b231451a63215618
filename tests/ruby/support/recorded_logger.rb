# frozen_string_literal: true

module DynoscaleTests
  # A logger that keeps what it is given.
  class RecordedLogger
    attr_reader :lines

    def initialize
      @lines = []
    end

    %i[debug info warn error].each do |level|
      define_method(level) { |text| @lines << [level, text] }
    end

    def warnings
      @lines.filter_map { |level, text| text if level == :warn }
    end
  end
end
