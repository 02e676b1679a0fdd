import { asError } from './stack.js'

/** Tells the operator by `process.emitWarning`; every code has its row in the README. */
export function warn(code: string, message: string): void {
  process.emitWarning(message, { type: 'MtlsIdentityWarning', code })
}

/**
 * The same of what could not be read again.
 *
 * @param former what holds meanwhile, with its verb: `rules hold`
 */
export function warnOfReload(error: unknown, former: string): void {
  warn('MTLS_RELOAD_FAILED', `${asError(error).message} (the former ${former})`)
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
