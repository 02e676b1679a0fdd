/** Fetchers for tests, closed after each. */
import { afterEach } from '@jest/globals'
import {
  createDocumentFetcher,
  type DocumentFetcher,
  type DocumentRequest,
  FetchError,
  type FetchedDocument,
  type FetcherOptions,
} from '../../src/revocation/document-fetcher.js'
import { type Fault, type FaultOutcome, faultTable, type Responder } from './responder.js'

const open = new Set<DocumentFetcher>()
afterEach(() => {
  for (const fetcher of open) fetcher.close()
  open.clear()
})

/** One that waits for as long as a busy machine may need, unless told otherwise. */
export function fetcher(options: FetcherOptions = {}): DocumentFetcher {
  const made = createDocumentFetcher({ timeoutMilliseconds: 4_000, ...options })
  open.add(made)
  return made
}

/** Options for what a fault ends in: a short deadline where it is the deadline. */
export const expecting = (fault: Fault, timeoutMilliseconds = 100): FetcherOptions =>
  faultTable[fault].outcomes.includes('timeout') ? { timeoutMilliseconds } : {}

/** A request for the responder's document, as if the operator had written its URL. */
export function from(responder: Responder | string, more: Partial<DocumentRequest> = {}): DocumentRequest {
  const url = typeof responder === 'string' ? responder : `${responder.url}/document`
  return { url, accept: 'application/octet-stream', maximumBytes: 4_096, configured: true, ...more }
}

/** The error a fetch rejects with. */
export async function failureOf(fetching: Promise<FetchedDocument>): Promise<FetchError> {
  try {
    await fetching
  } catch (error) {
    if (error instanceof FetchError) return error
    throw error
  }
  throw new Error('it was fetched')
}

export async function outcomeOf(fetching: Promise<FetchedDocument>, document: Uint8Array): Promise<FaultOutcome> {
  try {
    const { bytes } = await fetching
    return Buffer.from(document).equals(bytes) ? 'intact' : 'damaged'
  } catch (error) {
    if (error instanceof FetchError) return error.failure
    throw error
  }
}
