# frozen_string_literal: true

# Says how long its request waited.
class WaitsController < ActionController::Base
  def show
    waited = request.env.fetch('dynoscale.queue_time_ms', 'an unknown number of')
    render plain: "This request waited #{waited} ms for Rails.\n"
  end
end
