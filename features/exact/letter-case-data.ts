/*
 * Full case mappings of Unicode 17.0 beyond ASCII (UnicodeData.txt, SpecialCasing.txt without conditions), pinned: engines take them from whatever Unicode version they were
 * built with. Runs of code points, in base 36: `distance from the last run's start , difference of the mapped code point [, further code points[+]]`; with + every second
 * code point belongs to the run.
 */
export const UPPER =
  '51,kn 17,-w,m o,-w,6 7,3d 2,-1,n+ 1c,-6g 2,-1,2+ 7,-1,7+ h,-1,m+ 1b,-1,2+ 5,-8c 1,5f 3,-1,1+ 5,-1 4,-1 6,-1 3,2p 4,-1 1,4j 1,wu9 3,3m ' +
  '3,-1,2+ 7,-1 5,-1 3,-1 4,-1,1+ 5,-1 4,-1 2,1k 6,-1 1,-2 2,-1 1,-2 2,-1 1,-2 2,-1,7+ f,-27 2,-1,8+ j,-1 1,-2 2,-1 4,-1,j+ 16,-1,8+ p,-1 ' +
  '3,8cf,1 3,-1 5,-1,4+ 9,8bj 1,8bg 1,8bi 1,-5u 1,-5q 2,-5p,1 3,-5m 2,-5n 1,wnj 4,-5p 1,wnf 2,-5r 1,wo7 1,wmg 1,wn8 2,-5t 1,-5v 1,wn8 1,8af ' +
  '1,wn5 3,-5v 2,8al 1,-5x 3,-5y 8,89z 3,-62 2,wn7 1,-62 4,wmi 1,-62 1,-1x 1,-61,1 2,-1z 6,-63 b,wlx 1,wlu 4n,2c 18,-1,1+ 6,-1 4,3m,2 1d,-12 ' +
  '1,-11,2 4,-w,g h,-v 1,-w,8 9,-1s 1,-1r,1 3,-1q 1,-1l 4,-1b 1,-1i 1,-8 2,-1,b+ n,-2e 1,-28 1,7 1,-38 2,-2o 3,-1 3,-1 1h,-w,v w,-28,f h,-1,g+ ' +
  '16,-1,q+ 1j,-1,6+ d,-f 2,-1,1b+ 40,-1c,11 29b,2bk,16 19,2bk,2 l7,-8,5 1oo,-4tq 1,-4tp 1,-4tg 1,-4te,1 2,-4tf 1,-4t8 1,-4rp 1,r7m 2,-1 6n,r9g ' +
  '4,2xy h,raw 37,-1,22+ 4a,-1n 6,-1,1b+ 2n,8,7 g,8,5 g,8,7 g,8,7 g,8,5 h,8,3+ f,8,7 g,22,1 2,2e,3 4,2s,1 2,3k,1 2,34,1 2,3i,1 1g,8,1 e,-5k5 ' +
  'i,8,1 g,8,1 5,7 a1,-s y,-g,f k,-1 ng,-q,p 1gg,-1c,1b 1d,-1 4,-8bv 1,-8bs 2,-1,2+ b,-1 3,-1 b,-1,1d+ 2z,-1,1+ 7,-1 d,-5ls,11 13,-5ls 6,-5ls ' +
  'nx0,-1,m+ 1s,-1,d+ 4i,-1,6+ g,-1,u+ 1z,-1,1+ 5,-1,4+ d,-1 5,-1,1+ 3,1c 3,-1,9+ u,-1,7+ j,-1,1+ 5,-1,7+ 15,-1 nx,-ps t,-tzk,27 gk1,-w,p ' +
  'yv,-14,13 4w,-14,z 5b,-13,a c,-13,e g,-13,6 8,-13,1 1dx,-1s,1e 4w,-w,l 28g,-w,v gww,-w,v 2j,-r,o o6f,-y,x'

export const LOWER =
  '5c,w,m o,w,6 14,1,n+ 1e,1,2+ 7,1,7+ h,1,m+ 1a,-3d 1,1,2+ 8,5u 1,1,1+ 4,5q 1,1 2,5p,1 2,1 3,27 1,5m 1,5n 1,1 2,5p 1,5r 2,5v 1,5t 1,1 4,5v ' +
  '1,5x 2,5y 1,1,2+ 6,62 1,1 2,62 3,1 2,62 1,1 2,61,1 2,1,1+ 4,63 1,1 4,1 8,2 1,1 2,2 1,1 2,2 1,1,8+ j,1,8+ j,2 1,1,1+ 4,-2p 1,-1k 1,1,j+ ' +
  '14,-3m 2,1,8+ o,8bv 1,1 2,-4j 1,8bs 3,1 2,-5f 1,1x 1,1z 1,1,4+ 8a,1,1+ 6,1 9,38 7,12 2,11,2 4,1s 2,1r,1 3,w,g i,w,8 18,8 9,1,b+ s,-1o 3,1 ' +
  '2,-7 1,1 3,-3m,2 3,28,f g,w,v 28,1,g+ 16,1,q+ 1i,f 1,1,6+ f,1,1b+ 2p,1c,11 29b,5ls,11 13,5ls 6,5ls k3,tzk,27 28,8,5 1p5,1 7,-2bk,16 ' +
  '19,-2bk,2 8z,1,22+ 4e,-5vj 2,1,1b+ 2w,-8,7 g,-8,5 g,-8,7 g,-8,7 g,-8,5 h,-8,3+ f,-8,7 w,-8,7 g,-8,7 g,-8,7 g,-8,1 2,-22,1 2,-9 c,-2e,3 4,-9 ' +
  'c,-8,1 2,-2s,1 e,-8,1 2,-34,1 2,-7 c,-3k,1 2,-3i,1 2,-9 8a,-5st 4,-6gv 1,-6di 7,s 1a,g,f z,1 mr,q,p 1fu,1c,1b 2o,1 2,-8af 1,-2xy 1,-89z ' +
  '3,1,2+ 6,-8bg 1,-8al 1,-8bj 1,-8bi 2,1 3,1 9,-8cf,1 2,1,1d+ 2z,1,1+ 7,1 nym,1,m+ 1s,1,d+ 4i,1,6+ g,1,u+ 1z,1,1+ 4,-r9g 1,1,4+ d,1 2,-wmg ' +
  '3,1,1+ 6,1,9+ k,-wn8 1,-wnj 1,-wnf 1,-wn5 1,-wn8 2,-wlu 1,-wmi 1,-wlx 1,ps 1,1,7+ g,-1c 1,-wn7 1,-raw 1,1,1+ 4,-wo7 1,1,7+ g,-wu9 p,1 ' +
  'h7w,w,p yn,14,13 4w,14,z 5c,13,a c,13,e g,13,6 8,13,1 1d8,1s,1e 5s,w,l 28g,w,v gww,w,v 2o,r,o o68,y,x'

/** A character, then what it becomes; with spaces between. */
export const UPPER_SEVERAL =
  'ßSS ŉʼN ǰJ̌ ΐΪ́ ΰΫ́ ևԵՒ ẖH̱ ẗT̈ ẘW̊ ẙY̊ ẚAʾ ὐΥ̓ ὒΥ̓̀ ὔΥ̓́ ὖΥ̓͂ ᾀἈΙ ᾁἉΙ ᾂἊΙ ᾃἋΙ ᾄἌΙ ᾅἍΙ ᾆἎΙ ᾇἏΙ ᾈἈΙ ᾉἉΙ ᾊἊΙ ᾋἋΙ ᾌἌΙ ᾍἍΙ ᾎἎΙ ᾏἏΙ ᾐἨΙ ᾑἩΙ ᾒἪΙ ' +
  'ᾓἫΙ ᾔἬΙ ᾕἭΙ ᾖἮΙ ᾗἯΙ ᾘἨΙ ᾙἩΙ ᾚἪΙ ᾛἫΙ ᾜἬΙ ᾝἭΙ ᾞἮΙ ᾟἯΙ ᾠὨΙ ᾡὩΙ ᾢὪΙ ᾣὫΙ ᾤὬΙ ᾥὭΙ ᾦὮΙ ᾧὯΙ ᾨὨΙ ᾩὩΙ ᾪὪΙ ᾫὫΙ ᾬὬΙ ᾭὭΙ ᾮὮΙ ᾯὯΙ ᾲᾺΙ ᾳΑΙ ᾴΆΙ ᾶΑ͂ ᾷΑ͂Ι ᾼΑΙ ' +
  'ῂῊΙ ῃΗΙ ῄΉΙ ῆΗ͂ ῇΗ͂Ι ῌΗΙ ῒΪ̀ ΐΪ́ ῖΙ͂ ῗΪ͂ ῢΫ̀ ΰΫ́ ῤΡ̓ ῦΥ͂ ῧΫ͂ ῲῺΙ ῳΩΙ ῴΏΙ ῶΩ͂ ῷΩ͂Ι ῼΩΙ ﬀFF ﬁFI ﬂFL ﬃFFI ﬄFFL ﬅST ﬆST ﬓՄՆ ﬔՄԵ ﬕՄԻ ﬖՎՆ ' +
  'ﬗՄԽ'

/** The one letter whose lower case is two characters. */
export const LOWER_SEVERAL = '\u{130}\u{69}\u{307}'
