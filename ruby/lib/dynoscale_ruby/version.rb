# frozen_string_literal: true

# Defines DynoscaleRuby::VERSION, from core/include/dynoscale.h, and the classes written in C.
require 'dynoscale_ruby/dynoscale_ruby'
