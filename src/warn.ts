/** Tells the operator by `process.emitWarning`; every code has its row in the README. */
export function warn(code: string, message: string): void {
  process.emitWarning(message, { type: 'MtlsIdentityWarning', code })
}

const told = new WeakMap<object, Set<string>>()

/** The same about one server, once: it may be looked at when it is supervised, and again at its first request. */
export function warnOf(server: object, code: string, message: string): void {
  const codes = told.get(server) ?? new Set()
  told.set(server, codes)
  if (codes.has(code)) return
  codes.add(code)
  warn(code, message)
}
