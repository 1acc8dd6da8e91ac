/** A command was stopped by Ctrl-C; the message says what is done and what is not. Exit code 130. */
export class Stopped extends Error {}
