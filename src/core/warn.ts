/** Tells the operator by `process.emitWarning`; every code has its row in the README. */
export function warn(code: string, message: string): void {
  process.emitWarning(message, { type: 'MtlsIdentityWarning', code })
}
