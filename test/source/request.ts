import type { AnyRequest, CertificateSource, Reading } from '../../src/source/source.js'

/** A request as far as sources look at it. */
export function requestWith(
  fields: readonly (readonly [name: string, value: string])[],
  /** Null: a peer without an address. */
  peer: string | null = '10.0.3.7',
) {
  const headers: Record<string, string> = {}
  for (const [name, value] of fields) headers[name.toLowerCase()] = value
  return {
    rawHeaders: fields.flat(),
    headers,
    socket: { remoteAddress: peer ?? undefined },
    url: '/',
    method: 'GET',
  } as unknown as AnyRequest
}

/** What a source reads that has nothing to wait for. */
export function readNow(source: CertificateSource, request: AnyRequest, at = Date.now()): Reading {
  const reading = source.read(request, at)
  if ('then' in reading) throw new Error('the source waits for something')
  return reading
}

/** What a function throws. */
export function thrownBy(call: () => unknown): { code?: string; detail?: Record<string, unknown>; message: string } {
  try {
    call()
  } catch (error) {
    return error as { code?: string; detail?: Record<string, unknown>; message: string }
  }
  throw new Error('nothing was thrown')
}

/** The best of three, because other processes share the machine; what is not linear takes seconds for 64 KiB. */
export function bestTime(call: () => void): number {
  const times = Array.from({ length: 3 }, () => {
    const started = performance.now()
    call()
    return performance.now() - started
  })
  return Math.min(...times)
}

/** As nginx writes `$ssl_client_escaped_cert`. */
export const escapedByNginx = (pem: string) =>
  pem.replace(/[^A-Za-z0-9._~-]/g, (c) => `%${c.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase()}`)

/** As RFC 9440 writes it. */
export const byteSequence = (der: Uint8Array) => `:${Buffer.from(der).toString('base64')}:`
