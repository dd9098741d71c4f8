"""All architectures set against each other on the test fold: intervals, differences, and the verdict."""
