/** What only an operator can mend, told apart from what fails by itself. */

/**
 * Something that goes on failing until an operator changes a setting, a file or the machine. Its message says what is wrong and what to
 * do, one line for each mistake; a command that fails by it ends with status 2.
 */
export class OperatorError extends Error {}
