"""What a trained model is worth: metrics, and decision rules that are fitted on the validation fold."""
