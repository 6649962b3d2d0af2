"""What an owner asks about a captcha: how many labels a reader needs, and what the captcha withstands.

Figures, forecasts and pages. No training happens here and no Keras is imported: see training.learning_curve.
"""
