/** What a reader wants of an image: a part of it, smaller. */
import { StoreError } from '../../base/errors.ts'

export type ImageMode = 'fit' | 'fill' | 'resize'

export interface ImageQuery {
  /** 0: as the other one demands. */
  width: number
  height: number
  mode: ImageMode
  /** Of the upright image, up to but not including x2 and y2; cut out before it is made smaller. */
  crop: { x1: number; y1: number; x2: number; y2: number } | undefined
  /** All of it in few characters: part of the ETag, and of the key under which the result is kept. */
  variant: string
}

export interface ImageWishes {
  width?: number | undefined
  height?: number | undefined
  mode: string
  x1?: number | undefined
  y1?: number | undefined
  x2?: number | undefined
  y2?: number | undefined
}

/** Undefined where nothing is wanted. Throws `bad_request` for a crop without an area. */
export function imageQuery(wishes: ImageWishes): ImageQuery | undefined {
  const { width = 0, height = 0, x1 = 0, y1 = 0, x2 = 0, y2 = 0 } = wishes
  const wantsCrop = x1 !== 0 || y1 !== 0 || x2 !== 0 || y2 !== 0
  if (wantsCrop && (x2 <= x1 || y2 <= y1)) throw new StoreError('bad_request', 'the crop has no area')
  if (width === 0 && height === 0 && !wantsCrop) return undefined
  const mode: ImageMode = wishes.mode === 'fit' || wishes.mode === 'fill' ? wishes.mode : 'resize'
  const crop = wantsCrop ? { x1, y1, x2, y2 } : undefined
  const cropText = wantsCrop ? `c${x1}.${y1}.${x2}.${y2}` : ''
  const sizeText = width + height > 0 ? `${width}x${height}${mode === 'resize' ? '' : mode}` : ''
  return {
    width,
    height,
    mode,
    crop,
    variant: `${cropText}${wantsCrop && sizeText !== '' ? '-' : ''}${sizeText}`,
  }
}

export interface Box {
  left: number
  top: number
  width: number
  height: number
}

/** What is done to an image of this size: the part that is cut out, and the size that is made of it. Undefined: nothing. */
export interface ImagePlan {
  crop: Box | undefined
  resize: { width: number; height: number; covers: boolean } | undefined
}

/** Plans it. Nothing becomes larger than it was; a crop outside the image is none. */
export function planImage(
  query: ImageQuery,
  image: { width: number; height: number },
): ImagePlan | undefined {
  const crop = query.crop === undefined ? undefined : cropBox(query.crop, image)
  const resize = resizeOf(query, crop ?? image)
  return crop === undefined && resize === undefined ? undefined : { crop, resize }
}

function cropBox(
  crop: { x1: number; y1: number; x2: number; y2: number },
  image: { width: number; height: number },
): Box | undefined {
  const [right, bottom] = [Math.min(crop.x2, image.width), Math.min(crop.y2, image.height)]
  const box = { left: crop.x1, top: crop.y1, width: right - crop.x1, height: bottom - crop.y1 }
  if (box.width <= 0 || box.height <= 0) return undefined
  return box.width === image.width && box.height === image.height ? undefined : box
}

function resizeOf(query: ImageQuery, image: { width: number; height: number }): ImagePlan['resize'] {
  const { width, height, mode } = query
  const isSmaller = (width > 0 && width < image.width) || (height > 0 && height < image.height)
  if (!isSmaller) return undefined
  // One side divided by another: a scale in between would round halves the wrong way.
  const scaled = (side: number, of: number) => ({
    width: Math.max(1, Math.round((image.width * side) / of)),
    height: Math.max(1, Math.round((image.height * side) / of)),
    covers: false,
  })
  const byWidth = mode === 'fit' && width * image.height < height * image.width
  if (height === 0 || (width > 0 && byWidth)) return scaled(width, image.width)
  if (width === 0 || mode === 'fit') return scaled(height, image.height)
  const isThumbnail = mode === 'resize' && width === height
  return {
    width: Math.min(width, image.width),
    height: Math.min(height, image.height),
    covers: mode === 'fill' || isThumbnail,
  }
}
