"""What a trained model is worth: metrics on the folds that it was not trained on."""
