import { escaped } from '../help.js'
import type { AnyRequest } from '../source/source.js'
import { whenRejected } from '../thenable.js'

/** What the application calls a request in its own logs: `({ id }) => id`, say, where pino-http numbers them. A text or a number; all else is no name. */
export type RequestId = (request: AnyRequest & { readonly id?: unknown }) => unknown

/**
 * That name, safe to print and to send: a client may have chosen it. Undefined where the application has none, or fails to say it.
 *
 * It goes where a reason must not go: with it, a client who was refused can ask its operator, who finds the reason by it.
 */
export function requestIdOf(
  { requestId }: { readonly requestId: RequestId | undefined },
  request: AnyRequest | undefined,
): string | undefined {
  if (requestId === undefined || request === undefined) return undefined
  const names = known.get(requestId) ?? new WeakMap<AnyRequest, string>()
  known.set(requestId, names)
  const name = names.get(request) ?? ask(requestId, request)
  if (name !== undefined) names.set(request, name)
  return name
}

/** A function that makes names up must not tell the client another one than the operator. */
const known = new WeakMap<RequestId, WeakMap<AnyRequest, string>>()

function ask(requestId: RequestId, request: AnyRequest): string | undefined {
  try {
    const given = requestId(request)
    // A promise is no name, and what it rejects with must not end the process.
    whenRejected(given, () => {})
    if (typeof given !== 'number' && (typeof given !== 'string' || given === '')) return undefined
    return escaped(String(given))
  } catch {
    return undefined
  }
}
