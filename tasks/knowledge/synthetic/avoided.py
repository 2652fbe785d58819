"""Names that the syllables of `names` could form and that belong to somebody or something: none of them is ever used.

Found by comparing every name that can be formed with Faker's given and family names of all languages, GeoNames' countries
and towns of more than 15,000 people, and the headwords of two English dictionaries (GCIDE, Webster's of 1934).
"""

from __future__ import annotations

_WORDS = """
baberu badami bafilo bagobo bakuba balak balaka balik balolo baluba banaba banago banak banek banik baniva barak
baraka baraza barika barogo barok barolo basak basem basim batabo batak batam batik batoka batumi bavoso bazam bedim
begem begim begum bekim belam belek belem belovo beluru benami benek benim berek besim besom betim bezek bigam bilalo
bilek bilik binika biriba bitam bobak bobik bodek bogum bokom bolobo bonobo borago borak borek borik bosaso bosek
bosom bozova bubak budaka bukoba bukuru bulak bulolo burak burim busogo dagaba dagoba damek danek danika danilo darika
daruba datum degum demak deneka denim depok derek derik devika didam didim dilemi dinuba dokolo domek donoso donum
dorado doroba dorobo dubik dudek dudik dudok dulik duruk dusik falak fanaka fanam fariza faruk faruka farum fedak
felipa feruza filago filak filek filipa fitim forego forum fumado fumago gadaba galago galak galapa galek galik galuba
ganam garava gariba garum garuva gasek gasik gasuba gatak gatimu gazabo gazebo gedeza geneva genipa genom gerik gerim
gigaba gigolo gilim girik gizem godiva gokak golak golem goroka gosek gosik gudok gukovo gunebo kabaka kabalo kaberu
kabiru kaburu kadak kadapa kalabo kalim kamik kamisu kanak kanaka kanik kanuru kapok karaka karam karamu karasu kariba
karim karimi karuva karuza kasak kasam kasim kasulu kasumi katik katuka kazak kazek kazik kazim kekem kelek kerava
kerim kerubo ketuba ketupa kikolo kilim kiluba kimaru kireka kirimi kisilu kisumu kitami kituku kivilo kivuva kiziba
kobak kodak kokam kokum kolek konak kopik korek korem korova kosak kosovo kotido kotovo kotuku kozak kozok kubek
kukupa kulak kulim kurek kuruba kusam kusek kusik kusum kutek kutum labado ladik lakaza lalago lalak lanugo lanum
laredo larigo larum lasem latek latigo latika latuka lavabo ledum lenik lepak lepik lerik lerum lesik libido limuru
linek linum lipika lipok lirim lisak lisik livedo loligo lorik lorum lozova lubalo lubelo lugoba lugulu lukulu lulek
lusaka mabaso mabika mabolo mabuza madam madiba madido mafobo mageba magoza makak makalu makuk makulu malaba malabo
malak malek malik malika maliza maloba malum maluso manado maniva manobo manolo manuka mapalo maradu marek marika
marok masaka maseru masika masuku matam mavuso mazek mazepa mazik medak melado melam melek merak merim mesem mezuza
mikado mikumi milak mimoza minim minoru minum mirak mitek mizak modem modulo mogaka mogok mokolo mokum molak molek
monika moram morek mosopa motak motivo motosu mugumu mukami murilo murimi murom mutemi mutiso mutuku mutum nabak nadim
nagami nagasu nakuru nanaku narok nasiba nasim nasiru nataka nazim neduva nerim nevado nigam nilam nitek nizam nonego
norak notum novak novem novum nozulu nurek padam palak palolo panabo panak panaka panim papago papak parado param
pasuk pataka patoka pavuk pazik pedum peludo penedo perak peroba petapa petek peziza pilum pinedo pipilo pisum pitek
pokom polak pomak pomelo popovo potim potok pulido pupek pupelo pupulo purim putek rabak radek radika radim radom
rafik ranam rasim rebeka refik relik retem risek robalo rolak rolek romolo roripa rosado rovigo rozum rubigo sabak
sabalo sabelo sabik sadaka sadik sagalo sagum sakado salago salam salami salem salim saliva salom sanok sanudo sapek
saruk sasak sasebo sasovo satuba savak sebum sedam sedum selago selami selim semik senago senam sepuka serem serik
serum setibo setim seveso sevim sifaka sikuku simaba sipibo sisak sodoku sodom soduba solok solum somoza sotelo sotik
subomi sudak sulaba sulik sumak susam susumu suzak suzaka suzuka tabak tabuk tagalo takaba takum talak taluk taluka
tamam tamaru tameka tamika tanak tanaka tanika tanimu tanuku tapalo tarak tarik tarok tatum tebedu teledu telim tenika
teredo terek tereza tetovo tetum tilaka timaru timek timika tirado tiriba tobelo tokoza tolak toledo toloza tomek
tomeka tomika tonami topek topeka totem totum tubik tulipa tulum tunebo tupek tupelo tupik tupiza turaru turek tutelo
tuvalu vabaza vadim vanek varam varik vasum vedado vedika velika veloso velum venom verek verim vibeka vinum virago
vivek viveka vorago zaraza zareba zenik zeriba zirak zubek zufolo
"""
AVOIDED = frozenset(_WORDS.split())
"""Real names and words, in small letters."""
