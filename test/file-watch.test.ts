import { mkdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals'
import { watchFiles } from '../src/file-watch.js'
import { temporaryFolder } from './support/pki.js'

const at = temporaryFolder()
beforeEach(() => {
  jest.useFakeTimers()
})
afterEach(() => {
  jest.useRealTimers()
})
const look = () => jest.advanceTimersByTime(2_000)

test('what changes is told at the next look, once; what does not, never', () => {
  writeFileSync(at('a'), '1')
  let told = 0
  const stop = watchFiles([at('a')], () => {
    told++
  })
  look()
  expect(told).toBe(0)
  writeFileSync(at('a'), '22')
  look()
  look()
  expect(told).toBe(1)
  // The size alone may stay as it was.
  utimesSync(at('a'), 1, 1)
  look()
  expect(told).toBe(2)
  stop()
  expect(jest.getTimerCount()).toBe(0)
})

test('whoever could not read what he found is told again at each look, until he could', () => {
  writeFileSync(at('b'), '1')
  const answers = [false, false, true]
  let told = 0
  const stop = watchFiles([at('b')], () => answers[told++])
  writeFileSync(at('b'), '22')
  for (let i = 0; i < 6; i++) look()
  expect(told).toBe(3)
  stop()
})

test('C-02: a file that got the inode, the size and the mtime of the former one is told apart from it', () => {
  writeFileSync(at('e'), '1')
  utimesSync(at('e'), 1, 1)
  const former = statSync(at('e'))
  let told = 0
  const stop = watchFiles([at('e')], () => {
    told++
  })
  look()
  writeFileSync(at('e'), '2')
  utimesSync(at('e'), 1, 1)
  const { ino, size, mtimeMs } = statSync(at('e'))
  expect({ ino, size, mtimeMs }).toEqual({ ino: former.ino, size: former.size, mtimeMs: former.mtimeMs })
  look()
  look()
  expect(told).toBe(1)
  stop()
})

test('a file that goes and one that comes are changes, in a directory too', () => {
  mkdirSync(at('d'))
  let told = 0
  const stop = watchFiles([at('c'), at('d')], () => {
    told++
  })
  writeFileSync(at('c'), '1')
  look()
  writeFileSync(at('d', 'x'), '1')
  look()
  rmSync(at('c'))
  look()
  rmSync(at('d'), { recursive: true })
  look()
  expect(told).toBe(4)
  stop()
})
